// SPDX-License-Identifier: Apache-2.0
// Backend: where the packets of a network device go to and come from.
//
// A backend has a Port for each pair of queues that the device may have. A packet is a NetHeader
// and an Ethernet frame, in the guest's own buffers. Nothing stays in flight: when Send() or
// Receive() returns, the buffers are the caller's again. Created on the main thread; everything
// else is for the device's thread.
#ifndef HEARTH_DEVICES_VIRTIO_NET_BACKEND_H_
#define HEARTH_DEVICES_VIRTIO_NET_BACKEND_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/virtio/net/mac_address.h"

namespace hearth::virtio::net {

class Port {
 public:
  virtual ~Port() = default;

  enum class SendResult {
    kSent,
    kFull,    // nothing was taken; Owner::OnWritable() comes when there is room again
    kBad,     // the packet cannot be sent: the guest's fault
    kFailed,  // the host's fault; the packet is lost
  };
  // Sends one packet, `size` bytes long.
  virtual SendResult Send(absl::Span<const iovec> packet, uint32_t size) = 0;
  // After some Send()s: lets go of what was held back to be sent together. kSent or kFailed.
  virtual SendResult Flush() { return SendResult::kSent; }

  // Takes the next packet into `room` and returns its size; 0 if there is none now, a negative
  // errno if something is wrong with the port. More than `room` holds, or just as much, may mean
  // that the packet was longer, and its end is lost. num_buffers is not written.
  virtual ssize_t Receive(absl::Span<const iovec> room) = 0;
};

// What the guest wants to receive ("Packet Receive Filtering", "Setting MAC Address Filtering").
struct ReceiveFilter {
  bool everything = true;
  bool all_multicast = false;
  // When not everything; broadcast is among them if it is wanted.
  std::vector<MacAddress> addresses;
};

class Backend {
 public:
  // The device.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Packets may have arrived at the pair's port: Receive() until there are no more, since it is
    // not said again for these.
    virtual void OnReadable(size_t pair) = 0;
    virtual void OnWritable(size_t pair) = 0;
    // carrier() has changed.
    virtual void OnCarrier() = 0;
  };

  virtual ~Backend() = default;
  // The offload features that a device on it can have (kGuestOffloads, kHostOffloads). Constant.
  virtual uint64_t offloads() const = 0;
  // Constant.
  virtual size_t pairs() const = 0;
  virtual Port& port(size_t pair) = 0;
  // Is there somebody at the other end?
  virtual bool carrier() const { return true; }

  // Calls `owner` from events of the loop until Stop().
  virtual absl::Status Start(Owner* owner) = 0;
  virtual void Stop() = 0;
  // Whatever the setting was, packets come without offloads that are not among these.
  virtual absl::Status SetGuestOffloads(uint64_t features) = 0;
  // Packets come to the first `pairs` ports only.
  virtual absl::Status SetPairs(size_t pairs) = 0;
  // May be ignored: what comes too much is the guest's to drop.
  virtual void SetFilter(const ReceiveFilter& filter) = 0;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_BACKEND_H_
