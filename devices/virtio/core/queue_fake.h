// SPDX-License-Identifier: Apache-2.0
// QueueFake: the driver's side of a split virtqueue, in guest memory, for tests and fuzzers.
//
// Lays its rings and buffers out from `base` on. It does what a good driver does; a test that wants
// a bad one writes to the rings through the slices.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_QUEUE_FAKE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_QUEUE_FAKE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio/core/queue.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::virtio {

inline constexpr uint16_t kDescNext = 1;
inline constexpr uint16_t kDescWrite = 2;
inline constexpr uint16_t kDescIndirect = 4;

// How often a line was raised since the last call.
uint64_t TakeInterrupts(const IrqLine& line);

class QueueFake {
 public:
  // Rings of `size` entries at `base` (16-byte aligned), zeroed; end() is the first free address
  // behind. `event_idx`: was VIRTIO_F_EVENT_IDX negotiated? Kick() then goes by the available
  // event.
  QueueFake(GuestMemory* memory, GuestAddress base, uint16_t size, bool event_idx = true);

  // As the driver would tell the transport: ready, from the beginning.
  QueueConfig Config(uint16_t max_size) const;
  GuestAddress end() const { return end_; }

  // One element of a request: what the device reads, or room for what it writes.
  struct Part {
    GuestAddress address;
    uint32_t size;
    bool writable;
  };
  // Puts a request in the available ring and returns its head; nullopt when descriptors run out.
  // Not visible before Kick().
  std::optional<uint16_t> Add(const std::vector<Part>& parts);
  // The same through an indirect table, which is written to `table`.
  std::optional<uint16_t> AddIndirect(const std::vector<Part>& parts, GuestAddress table);
  // Makes what was added since the last Kick() visible. True if the device wants a notification.
  bool Kick();

  // The next completion, its descriptors free again; nullopt if there is none.
  struct Used {
    uint32_t head;
    uint32_t written;
  };
  std::optional<Used> TakeUsed();
  uint16_t used_index() const;

  // Event index: ask for an interrupt when the used index passes `used_event`. Without the feature:
  // wish for interrupts or not.
  void SetUsedEvent(uint16_t used_event);
  void SetNoInterrupt(bool no_interrupt);
  uint16_t avail_event() const;
  bool no_notify() const;

  // For bad drivers, and good ones with rings from before.
  void WriteDescriptor(uint16_t index, uint64_t address, uint32_t size, uint16_t flags,
                       uint16_t next);
  void WriteAvailable(uint16_t slot, uint16_t head);
  void WriteAvailableIndex(uint16_t index);
  // An entry of an indirect table.
  static void WriteEntry(const GuestSlice& table, uint64_t index, uint64_t address, uint32_t size,
                         uint16_t flags, uint16_t next);
  const GuestSlice& descriptors() const { return descriptors_; }
  const GuestSlice& avail() const { return avail_; }
  const GuestSlice& used() const { return used_; }

 private:
  uint16_t Offer(std::vector<uint16_t> chain);

  GuestMemory* const memory_;
  const GuestAddress base_;
  const uint16_t size_;
  const bool event_idx_;
  GuestAddress end_;
  GuestSlice descriptors_, avail_, used_;
  std::vector<uint16_t> free_;
  std::vector<std::vector<uint16_t>> chain_;  // by head, while the device has it
  uint16_t avail_index_ = 0;
  uint16_t kicked_ = 0;
  uint16_t used_seen_ = 0;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_QUEUE_FAKE_H_
