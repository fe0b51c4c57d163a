// SPDX-License-Identifier: Apache-2.0
// Queue: the device's side of one split virtqueue.
//
// Belongs to the thread of its device from activation on. The rings are guest memory: the driver
// may write anything, at any time. What makes no sense (an index that jumps, a descriptor outside
// memory, a loop, ...) is a fault: the queue gives out nothing more, and the device tells its host
// (DeviceHost::NeedsReset). No method allocates once chains have grown to the driver's habits.
//
//   while (queue.Pop(&chain) == Queue::PopResult::kChain) {
//     ... queue.Complete(&chain, bytes_written);
//   }
//   queue.Publish();  // once for many: makes them visible, interrupts the driver if it wants that
//
// Source: virtio 1.2, "Split Virtqueues"; event index: "Used Buffer Notification Suppression" and
// "Available Buffer Notification Suppression".
#ifndef HEARTH_DEVICES_VIRTIO_CORE_QUEUE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_QUEUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "devices/virtio/core/descriptor_chain.h"
#include "devices/virtio/core/interrupt.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::virtio {

// What the driver has set up for a queue, and how far the device has come. The transport holds it
// while the device is not active, and it is all that a snapshot needs of a queue.
struct QueueConfig {
  uint16_t max_size = 0;  // the device's; a power of two, at most 32768
  uint16_t size = 0;      // the driver's; a power of two, at most max_size
  bool ready = false;
  uint64_t guest_descriptor_table = 0;
  uint64_t guest_driver_area = 0;  // the available ring
  uint64_t guest_device_area = 0;  // the used ring
  uint16_t next_avail = 0;         // the index of the next request to take
  uint16_t next_used = 0;          // the index of the next one to complete
};

class Queue {
 public:
  // Checks sizes, alignment and that the three areas lie in memory; a ready config only. `features`
  // are the negotiated ones. `memory` and `interrupt` outlive the queue.
  static absl::StatusOr<std::unique_ptr<Queue>> Create(const GuestMemory* memory, uint16_t index,
                                                       const QueueConfig& config, uint64_t features,
                                                       Interrupt* interrupt);
  // The same checks alone; the error names the field of QueueState. Nothing is written.
  static absl::Status Check(const GuestMemory& memory, const QueueConfig& config);
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  uint16_t index() const { return index_; }
  uint16_t size() const { return config_.size; }

  enum class PopResult { kChain, kEmpty, kFault };
  // Takes the next request into `*chain`, which must not be pending. After kFault, fault() says
  // why, and every later call gives kFault too.
  PopResult Pop(DescriptorChain* chain);
  // Gives the request that was taken last back: the next Pop() gives it out again. Several are
  // given back in the reverse order of taking them.
  void Unpop(DescriptorChain* chain);
  // Hands the buffers back to the driver, the first `written` bytes of the writable ones filled
  // (clamped to what they hold). Not visible before Publish(). Requests complete in any order.
  void Complete(DescriptorChain* chain, uint32_t written);
  // Makes completed requests visible and interrupts the driver unless it does not want it now.
  void Publish();
  bool has_unpublished() const { return config_.next_used != published_used_; }

  // Is there a request to take, or a fault to see? One load; for polling.
  bool HasAvailable() const;
  // Asks the driver not to notify (a hint), or to notify again. EnableNotify() returns true if
  // requests came in the meantime, for which no notification will come: take them first. A new
  // queue has notifications enabled.
  void DisableNotify();
  [[nodiscard]] bool EnableNotify();

  bool faulted() const { return !fault_.empty(); }
  const std::string& fault() const { return fault_; }

  // How many requests are taken and neither completed nor given back: at most size(), whatever the
  // driver does.
  uint32_t in_flight() const { return in_flight_; }
  // What a snapshot keeps; nothing may be in flight or unpublished.
  const QueueConfig& Save() const { return config_; }

 private:
  struct Areas {
    GuestSlice descriptors, avail, used;
  };

  Queue(const GuestMemory* memory, uint16_t index, const QueueConfig& config, uint64_t features,
        Interrupt* interrupt, const Areas& areas);
  static absl::StatusOr<Areas> FindAreas(const GuestMemory& memory, const QueueConfig& config);
  PopResult Fail(absl::string_view what);
  // False after a fault.
  bool ReadChain(uint16_t head, DescriptorChain* chain);
  void MarkDirty(const DescriptorChain& chain, uint32_t written) const;
  void ReloadAvailableIndex() const;

  const GuestMemory* const memory_;
  Interrupt* const interrupt_;
  const GuestSlice descriptors_;
  const GuestSlice avail_;
  const GuestSlice used_;
  QueueConfig config_;
  const uint16_t mask_;
  const uint16_t index_;
  const bool event_idx_;
  const bool indirect_;
  bool notify_enabled_ = false;
  uint16_t event_ = 0;            // the available event that the driver sees
  mutable uint16_t avail_index_;  // the available index as last loaded
  uint16_t published_used_;       // the used index that the driver sees
  uint32_t in_flight_ = 0;
  std::string fault_;
};

// One a virtqueue of the device, in order; nullptr where the driver did not set it up.
using Queues = std::vector<std::unique_ptr<Queue>>;

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_QUEUE_H_
