// SPDX-License-Identifier: Apache-2.0
// Receiver: fills one receive queue of the guest.
//
// Packets are read straight into the guest's buffers. The receiver takes some buffers from the
// queue in advance: as many bytes as the largest packet of late, so that a stream of small packets
// is read with short lists of vectors and one of large packets in one piece. Behind them comes a
// buffer of our own (the spill), so that no packet is cut off when it turns out larger: with
// MRG_RXBUF its end is then copied to further buffers, without it is dropped and counted.
//
// A packet that was read and cannot be delivered yet, for want of buffers or of the rate limiter's
// tokens, is kept, and nothing is read until it has gone. Device thread; allocates only when it
// starts and while it adapts to the driver's habits. Source: virtio 1.2, "Processing of Incoming
// Packets".
#ifndef HEARTH_DEVICES_VIRTIO_NET_RECEIVER_H_
#define HEARTH_DEVICES_VIRTIO_NET_RECEIVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/core/descriptor_chain.h"
#include "devices/virtio/core/queue.h"
#include "devices/virtio/net/backend.h"
#include "devices/virtio/net/counters.h"
#include "devices/virtio/net/packet_hook.h"
#include "devices/virtio/net/throttle.h"

namespace hearth::virtio::net {

class Receiver {
 public:
  // All outlive the receiver; `hook` may be nullptr.
  Receiver(Port* port, Throttle* throttle, PacketHook* hook, Counters* counters);
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // Works on `queue` until Stop(). `mergeable`: MRG_RXBUF was negotiated.
  void Start(Queue* queue, bool mergeable);
  // Gives the buffers back to the queue; a packet that is not delivered is lost.
  void Stop();
  bool started() const { return queue_ != nullptr; }

  enum class Result {
    kIdle,       // no more packets
    kMore,       // `budget` packets were delivered
    kNoBuffers,  // the driver has to give buffers; it notifies when it does
    kThrottled,  // Throttle's callback will come
    kFault,      // the driver broke a rule: why()
  };
  // Delivers up to `budget` packets and publishes them.
  Result Run(int budget);
  const std::string& why() const { return why_; }
  // Has the driver given buffers since kNoBuffers? One load.
  bool HasBuffers() const { return queue_->HasAvailable(); }
  // Throws away what has come so far, such as while the link was down.
  void Discard();

  // Of the packet that is kept; 0 if there is none. After kNoBuffers the device calls Run() again
  // kPatience later if there is one: a driver that has no more buffers to give, however small they
  // are together, must not be waited for.
  uint32_t held_bytes() const { return held_bytes_; }
  static constexpr std::chrono::milliseconds kPatience{10};

 private:
  enum class Fill { kEnough, kShort, kFault };
  Result RunUnpublished(int budget);
  // Takes buffers until there are `bytes` of them.
  Fill TakeBuffers(uint32_t bytes);
  // Reads the next packet into the window; as Port::Receive().
  ssize_t ReadPacket();
  size_t PullFromHook();
  // kMore: delivered or dropped.
  Result Deliver();
  void Drop();
  void CopyIntoWindow(uint32_t offset, const uint8_t* from, uint32_t bytes);
  void Consume(uint32_t bytes);
  void Adapt(uint32_t bytes);
  Result Fail(absl::string_view why);

  DescriptorChain& chain(uint32_t i) { return chains_[(first_chain_ + i) & chain_mask_]; }

  Port* const port_;
  Throttle* const throttle_;
  PacketHook* const hook_;
  Counters& counters_;
  Queue* queue_ = nullptr;
  bool mergeable_ = false;

  // The window: buffers taken and not yet filled, a ring of chains, and their vectors in one piece.
  std::vector<DescriptorChain> chains_;
  uint32_t chain_mask_ = 0;
  uint32_t first_chain_ = 0;
  uint32_t chain_count_ = 0;
  std::vector<iovec> vectors_;
  size_t first_vector_ = 0;
  uint64_t window_bytes_ = 0;

  // How many bytes of buffers to read with, and what the packets since the last look wanted.
  uint32_t wanted_bytes_ = 0;
  uint32_t largest_seen_ = 0;
  int packets_seen_ = 0;

  // The packet that was read last, and from where on it is in the spill and not in the window.
  uint32_t held_bytes_ = 0;
  uint32_t spill_from_ = 0;
  base::MonotonicTime waiting_since_{};  // for buffers; 0: is not
  std::unique_ptr<uint8_t[]> spill_;
  std::unique_ptr<uint8_t[]> pulled_;  // from the hook
  std::string why_;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_RECEIVER_H_
