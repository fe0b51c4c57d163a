// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/control_queue.h"

#include <optional>
#include <type_traits>
#include <utility>

namespace hearth::virtio::net {
namespace {

// Copies a command's data out bit by bit; each byte is read once.
class Reader {
 public:
  explicit Reader(const DescriptorChain& chain) : chain_(chain) {}

  template <typename T>
  std::optional<T> Take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (!chain_.CopyOut(offset_, &value, sizeof(T))) return std::nullopt;
    offset_ += sizeof(T);
    return value;
  }
  // False where there are not as many.
  bool Skip(uint64_t bytes) {
    if (bytes > left()) return false;
    offset_ += static_cast<uint32_t>(bytes);
    return true;
  }
  uint32_t left() const { return chain_.readable_bytes() - offset_; }

 private:
  const DescriptorChain& chain_;
  uint32_t offset_ = 0;
};

// One half of VIRTIO_NET_CTRL_MAC_TABLE_SET.
bool TakeTable(Reader* reader, std::vector<MacAddress>* addresses, bool* overflow) {
  const std::optional<uint32_t> entries = reader->Take<uint32_t>();
  if (!entries.has_value()) return false;
  if (*entries > kMaxTableEntries) {
    *overflow = true;
    return reader->Skip(uint64_t{*entries} * sizeof(MacAddress));
  }
  for (uint32_t i = 0; i < *entries; ++i) {
    const std::optional<MacAddress> mac = reader->Take<MacAddress>();
    if (!mac.has_value()) return false;
    addresses->push_back(*mac);
  }
  return true;
}

bool RunRx(uint8_t command, uint64_t features, Reader* reader, ControlTarget* target) {
  const bool extra = command >= static_cast<uint8_t>(RxCommand::kAllUnicast);
  if (command > static_cast<uint8_t>(RxCommand::kNoBroadcast) ||
      (features & (extra ? kFeatureCtrlRxExtra : kFeatureCtrlRx)) == 0) {
    return false;
  }
  const std::optional<uint8_t> on = reader->Take<uint8_t>();
  return on.has_value() && target->SetReceiveMode(static_cast<RxCommand>(command), *on != 0);
}

bool RunMac(uint8_t command, uint64_t features, Reader* reader, ControlTarget* target) {
  if (command == kMacAddressSet && (features & kFeatureCtrlMacAddr) != 0) {
    const std::optional<MacAddress> mac = reader->Take<MacAddress>();
    return mac.has_value() && target->SetMacAddress(*mac);
  }
  if (command == kMacTableSet && (features & kFeatureCtrlRx) != 0) {
    ControlTarget::MacTable table;
    return TakeTable(reader, &table.unicast, &table.unicast_overflow) &&
           TakeTable(reader, &table.multicast, &table.multicast_overflow) &&
           target->SetMacTable(std::move(table));
  }
  return false;
}

}  // namespace

bool RunControlCommand(const DescriptorChain& chain, uint64_t features, ControlTarget* target) {
  Reader reader(chain);
  const std::optional<uint8_t> command_class = reader.Take<uint8_t>();
  const std::optional<uint8_t> command = reader.Take<uint8_t>();
  if (!command_class.has_value() || !command.has_value()) return false;
  switch (static_cast<ControlClass>(*command_class)) {
    case ControlClass::kRx:
      return RunRx(*command, features, &reader, target);
    case ControlClass::kMac:
      return RunMac(*command, features, &reader, target);
    case ControlClass::kAnnounce:
      return (features & kFeatureGuestAnnounce) != 0 && *command == kAnnounceAcknowledge &&
             target->AcknowledgeAnnounce();
    case ControlClass::kMq: {
      if ((features & kFeatureMq) == 0 || *command != kMqPairsSet) return false;
      const std::optional<uint16_t> pairs = reader.Take<uint16_t>();
      return pairs.has_value() && target->SetQueuePairs(*pairs);
    }
    case ControlClass::kGuestOffloads: {
      if ((features & kFeatureCtrlGuestOffloads) == 0 || *command != kGuestOffloadsSet)
        return false;
      const std::optional<uint64_t> offloads = reader.Take<uint64_t>();
      return offloads.has_value() && target->SetGuestOffloads(*offloads);
    }
  }
  return false;
}

}  // namespace hearth::virtio::net
