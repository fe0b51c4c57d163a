// SPDX-License-Identifier: Apache-2.0
// Transmitter: empties one transmit queue of the guest.
//
// A packet goes from the guest's buffers to the port as it is, header and all: whoever takes it
// checks the header. A packet that cannot go yet is given back to the queue, so nothing is held.
// Device thread; allocates nothing. Source: virtio 1.2, "Packet Transmission".
#ifndef HEARTH_DEVICES_VIRTIO_NET_TRANSMITTER_H_
#define HEARTH_DEVICES_VIRTIO_NET_TRANSMITTER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "devices/virtio/core/descriptor_chain.h"
#include "devices/virtio/core/queue.h"
#include "devices/virtio/net/backend.h"
#include "devices/virtio/net/counters.h"
#include "devices/virtio/net/mac_address.h"
#include "devices/virtio/net/packet_hook.h"
#include "devices/virtio/net/throttle.h"

namespace hearth::virtio::net {

class Transmitter {
 public:
  // All outlive the transmitter; `hook` may be nullptr.
  Transmitter(Port* port, Throttle* throttle, PacketHook* hook, Counters* counters);
  Transmitter(const Transmitter&) = delete;
  Transmitter& operator=(const Transmitter&) = delete;

  void Start(Queue* queue) {
    queue_ = queue;
    paid_ = false;
  }
  void Stop() { queue_ = nullptr; }
  bool started() const { return queue_ != nullptr; }

  // Packets go nowhere while the link is down; they are completed all the same.
  void SetLinkUp(bool up) { link_up_ = up; }
  // To count who sends from another address; nullopt: nobody knows the right one.
  void SetMac(const std::optional<MacAddress>& mac) { mac_ = mac; }

  enum class Result {
    kIdle,       // no more packets; notifications are off until EnableNotify()
    kMore,       // `budget` packets were sent
    kFull,       // Backend::Owner::OnWritable() will come
    kThrottled,  // Throttle's callback will come
    kFault,      // the driver broke a rule; Queue::fault() says which
  };
  // Sends up to `budget` packets and gives their buffers back.
  Result Run(int budget);
  // As Queue's.
  bool EnableNotify() { return queue_->EnableNotify(); }
  bool HasPackets() const { return queue_->HasAvailable(); }
  const std::string& fault() const { return queue_->fault(); }

  // Whether the hook was given a packet since this was asked last.
  bool TakeHooked() { return std::exchange(hooked_, false); }

 private:
  Result RunUnpublished(int budget);
  // nullopt: the packet has gone, one way or the other.
  std::optional<Result> SendOne();
  bool GiveToHook(const uint8_t* start, uint32_t start_bytes);

  Port* const port_;
  Throttle* const throttle_;
  PacketHook* const hook_;
  Counters& counters_;
  Queue* queue_ = nullptr;
  DescriptorChain chain_;
  bool link_up_ = true;
  bool paid_ = false;  // the packet that comes next has its tokens, but the port was full
  bool hooked_ = false;
  std::optional<MacAddress> mac_;
  std::unique_ptr<uint8_t[]> copy_;  // for the hook
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_TRANSMITTER_H_
