// SPDX-License-Identifier: Apache-2.0
// PacketHook: a service inside the VMM at an address of the guest's network, such as a metadata
// service.
//
// The guest's ARP requests and IPv4 packets for the hook's address are the hook's; all others pass
// it by at the price of one comparison, and without a hook there is none. Both ways packets are a
// NetHeader and a frame, so that checksums and segmentation may be left to the other side as the
// driver negotiated it. Device thread. Owned by who made it; outlives the device.
#ifndef HEARTH_DEVICES_VIRTIO_NET_PACKET_HOOK_H_
#define HEARTH_DEVICES_VIRTIO_NET_PACKET_HOOK_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {

class PacketHook {
 public:
  virtual ~PacketHook() = default;

  // In the order of the wire: {169, 254, 169, 254}. Constant.
  virtual std::array<uint8_t, 4> address() const = 0;
  // The device runs: `wake` says that there is something to Pull() now. nullptr: it is over.
  virtual void SetWake(absl::AnyInvocable<void()> wake) = 0;
  // A packet for the hook's address; a copy. False: not for the hook after all, the network gets
  // it.
  virtual bool OnPacket(const NetHeader& header, absl::Span<const uint8_t> frame) = 0;
  // The next packet for the guest: fills in the header, writes the frame to `frame` and returns its
  // size; 0 if there is none. Asked after each OnPacket() and SetWake()'s call, when the guest has
  // buffers.
  virtual size_t Pull(NetHeader* header, absl::Span<uint8_t> frame) = 0;
};

// How much of a frame IsFor() looks at: as far as the target address of ARP.
inline constexpr size_t kHookLookBytes = 42;

// Is this the beginning of an ARP or IPv4 packet for `address`?
bool IsFor(const std::array<uint8_t, 4>& address, absl::Span<const uint8_t> frame);

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_PACKET_HOOK_H_
