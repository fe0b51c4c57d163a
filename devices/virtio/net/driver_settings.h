// SPDX-License-Identifier: Apache-2.0
// DriverSettings: what a driver has asked for by the control queue, as plain data.
#ifndef HEARTH_DEVICES_VIRTIO_NET_DRIVER_SETTINGS_H_
#define HEARTH_DEVICES_VIRTIO_NET_DRIVER_SETTINGS_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "devices/virtio/net/backend.h"
#include "devices/virtio/net/control_queue.h"
#include "devices/virtio/net/mac_address.h"
#include "devices/virtio/net/net_state.pb.h"

namespace hearth::virtio::net {

struct DriverSettings {
  // The address that the guest answers to; nullopt until somebody has said it.
  std::optional<MacAddress> mac;
  uint16_t queue_pairs = 1;
  // Bit n is RxCommand n. Promiscuous until the driver says otherwise.
  uint8_t receive_mode = 1 << static_cast<int>(RxCommand::kPromiscuous);
  ControlTarget::MacTable table;
  // Those negotiated, until the driver sets others.
  std::optional<uint64_t> guest_offloads;

  bool Mode(RxCommand command) const {
    return (receive_mode >> static_cast<int>(command) & 1) != 0;
  }
  void SetMode(RxCommand command, bool on) {
    const auto bit = static_cast<uint8_t>(1 << static_cast<int>(command));
    receive_mode = static_cast<uint8_t>(on ? receive_mode | bit : receive_mode & ~bit);
  }
  // What to receive, for a driver that has negotiated `features`.
  ReceiveFilter Filter(uint64_t features) const;

  void SaveTo(NetState* state) const;
  // `state` is hostile. Errors name the field of NetState.
  static absl::StatusOr<DriverSettings> Load(const NetState& state, size_t max_pairs);
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_DRIVER_SETTINGS_H_
