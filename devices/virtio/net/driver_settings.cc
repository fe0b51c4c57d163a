// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/driver_settings.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth::virtio::net {
namespace {

std::string Pack(const std::vector<MacAddress>& addresses) {
  std::string bytes;
  for (const MacAddress& mac : addresses) bytes.append(mac.begin(), mac.end());
  return bytes;
}

absl::Status Unpack(absl::string_view field, const std::string& bytes,
                    std::vector<MacAddress>* addresses) {
  if (bytes.size() % sizeof(MacAddress) != 0 ||
      bytes.size() / sizeof(MacAddress) > kMaxTableEntries) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": got ", bytes.size(),
                                                   " bytes, must be at most ", kMaxTableEntries,
                                                   " addresses of ", sizeof(MacAddress)));
  }
  addresses->resize(bytes.size() / sizeof(MacAddress));
  for (size_t i = 0; i < addresses->size(); ++i) {
    std::memcpy((*addresses)[i].data(), bytes.data() + i * sizeof(MacAddress), sizeof(MacAddress));
  }
  return absl::OkStatus();
}

}  // namespace

ReceiveFilter DriverSettings::Filter(uint64_t features) const {
  // Without CTRL_MAC_ADDR the driver may have another address than we know.
  constexpr uint64_t kNeeded = kFeatureCtrlRx | kFeatureCtrlMacAddr;
  if ((features & kNeeded) != kNeeded || !mac.has_value() || Mode(RxCommand::kPromiscuous) ||
      Mode(RxCommand::kAllUnicast) || table.unicast_overflow) {
    return {};
  }
  const bool multicast = !Mode(RxCommand::kNoMulticast);
  ReceiveFilter filter = {
      .everything = false,
      .all_multicast = multicast && (Mode(RxCommand::kAllMulticast) || table.multicast_overflow)};
  // The kernel compares the first eight exactly; these are the ones that matter.
  filter.addresses.push_back(*mac);
  if (!Mode(RxCommand::kNoBroadcast)) filter.addresses.push_back(kBroadcast);
  if (!Mode(RxCommand::kNoUnicast)) {
    filter.addresses.insert(filter.addresses.end(), table.unicast.begin(), table.unicast.end());
  }
  if (multicast) {
    filter.addresses.insert(filter.addresses.end(), table.multicast.begin(), table.multicast.end());
  }
  return filter;
}

void DriverSettings::SaveTo(NetState* state) const {
  if (mac.has_value()) state->set_mac(Pack({*mac}));
  state->set_queue_pairs(queue_pairs);
  state->set_receive_mode(receive_mode);
  state->set_unicast_table(Pack(table.unicast));
  state->set_multicast_table(Pack(table.multicast));
  state->set_unicast_overflow(table.unicast_overflow);
  state->set_multicast_overflow(table.multicast_overflow);
  if (guest_offloads.has_value()) state->set_guest_offloads(*guest_offloads);
}

absl::StatusOr<DriverSettings> DriverSettings::Load(const NetState& state, size_t max_pairs) {
  DriverSettings settings;
  if (!state.mac().empty()) {
    std::vector<MacAddress> mac;
    HEARTH_RETURN_IF_ERROR(Unpack("mac", state.mac(), &mac));
    if (mac.size() != 1 || !IsUnicast(mac[0])) {
      return absl::InvalidArgumentError("mac: must be one unicast address");
    }
    settings.mac = mac[0];
  }
  if (state.queue_pairs() < 1 || state.queue_pairs() > max_pairs) {
    return absl::InvalidArgumentError(
        absl::StrCat("queue_pairs: got ", state.queue_pairs(), ", must be from 1 to ", max_pairs));
  }
  settings.queue_pairs = static_cast<uint16_t>(state.queue_pairs());
  constexpr uint32_t kModes = (2u << static_cast<int>(RxCommand::kNoBroadcast)) - 1;
  if ((state.receive_mode() & ~kModes) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("receive_mode: got ", state.receive_mode(), ", must be at most ", kModes));
  }
  settings.receive_mode = static_cast<uint8_t>(state.receive_mode());
  HEARTH_RETURN_IF_ERROR(Unpack("unicast_table", state.unicast_table(), &settings.table.unicast));
  HEARTH_RETURN_IF_ERROR(
      Unpack("multicast_table", state.multicast_table(), &settings.table.multicast));
  settings.table.unicast_overflow = state.unicast_overflow();
  settings.table.multicast_overflow = state.multicast_overflow();
  if (state.has_guest_offloads()) {
    if ((state.guest_offloads() & ~kGuestOffloads) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("guest_offloads: got ", state.guest_offloads(),
                                                     ", which has bits that mean nothing"));
    }
    settings.guest_offloads = state.guest_offloads();
  }
  return settings;
}

}  // namespace hearth::virtio::net
