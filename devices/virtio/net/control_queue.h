// SPDX-License-Identifier: Apache-2.0
// The control queue's commands, taken apart and checked. Source: virtio 1.2, "Control Virtqueue".
#ifndef HEARTH_DEVICES_VIRTIO_NET_CONTROL_QUEUE_H_
#define HEARTH_DEVICES_VIRTIO_NET_CONTROL_QUEUE_H_

#include <cstdint>
#include <vector>

#include "devices/virtio/core/descriptor_chain.h"
#include "devices/virtio/net/mac_address.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {

// What a command is done to. False: refused, with no effect.
class ControlTarget {
 public:
  virtual ~ControlTarget() = default;
  virtual bool SetReceiveMode(RxCommand command, bool on) = 0;
  // `overflow`: there were more than kMaxTableEntries of them, and they are left out.
  struct MacTable {
    std::vector<MacAddress> unicast, multicast;
    bool unicast_overflow = false;
    bool multicast_overflow = false;
  };
  virtual bool SetMacTable(MacTable table) = 0;
  virtual bool SetMacAddress(const MacAddress& mac) = 0;
  virtual bool AcknowledgeAnnounce() = 0;
  virtual bool SetQueuePairs(uint16_t pairs) = 0;
  virtual bool SetGuestOffloads(uint64_t offloads) = 0;
};

inline constexpr uint32_t kMaxTableEntries = 64;

// Carries out the command in `chain` as far as `features` were negotiated. False: refused. The
// acknowledgement is the caller's.
bool RunControlCommand(const DescriptorChain& chain, uint64_t features, ControlTarget* target);

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_CONTROL_QUEUE_H_
