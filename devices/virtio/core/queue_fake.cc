// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/queue_fake.h"

#include <unistd.h>

#include <utility>

#include "base/status_macros.h"

namespace hearth::virtio {
namespace {

GuestSlice Take(GuestMemory* memory, GuestAddress* at, uint64_t alignment, uint64_t size) {
  *at = GuestAddress(AlignUp(at->value(), alignment));
  const absl::StatusOr<GuestSlice> slice = memory->SliceFor("queue fake", *at, size);
  HEARTH_CHECK(slice.ok());
  *at = *at + size;
  HEARTH_CHECK(slice->Fill(0, 0, size));
  return *slice;
}

constexpr uint64_t AvailSlot(uint64_t slot) { return 4 + 2 * slot; }
constexpr uint64_t UsedSlot(uint64_t slot) { return 4 + 8 * slot; }

}  // namespace

uint64_t TakeInterrupts(const IrqLine& line) {
  uint64_t count = 0;
  return read(line.fd(), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

QueueFake::QueueFake(GuestMemory* memory, GuestAddress base, uint16_t size, bool event_idx)
    : memory_(memory), base_(base), size_(size), event_idx_(event_idx), end_(base) {
  HEARTH_CHECK(base.value() % 16 == 0);
  descriptors_ = Take(memory, &end_, 16, 16 * uint64_t{size});
  avail_ = Take(memory, &end_, 2, AvailSlot(size) + 2);
  used_ = Take(memory, &end_, 4, UsedSlot(size) + 2);
  chain_.resize(size);
  for (uint16_t i = size; i > 0; --i) free_.push_back(static_cast<uint16_t>(i - 1));
}

QueueConfig QueueFake::Config(uint16_t max_size) const {
  const uint64_t avail = base_.value() + descriptors_.size();
  return {.max_size = max_size,
          .size = size_,
          .ready = true,
          .guest_descriptor_table = base_.value(),
          .guest_driver_area = avail,
          .guest_device_area = AlignUp(avail + avail_.size(), 4)};
}

std::optional<uint16_t> QueueFake::Add(const std::vector<Part>& parts) {
  if (parts.empty() || parts.size() > free_.size()) return std::nullopt;
  std::vector<uint16_t> chain(free_.rbegin(),
                              free_.rbegin() + static_cast<std::ptrdiff_t>(parts.size()));
  free_.resize(free_.size() - parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const int flags = (last ? 0 : kDescNext) | (parts[i].writable ? kDescWrite : 0);
    WriteDescriptor(chain[i], parts[i].address.value(), parts[i].size, static_cast<uint16_t>(flags),
                    last ? uint16_t{0} : chain[i + 1]);
  }
  return Offer(std::move(chain));
}

std::optional<uint16_t> QueueFake::AddIndirect(const std::vector<Part>& parts, GuestAddress table) {
  if (parts.empty() || free_.empty()) return std::nullopt;
  const absl::StatusOr<GuestSlice> slice =
      memory_->SliceFor("indirect table", table, 16 * parts.size());
  HEARTH_CHECK(slice.ok());
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const int flags = (last ? 0 : kDescNext) | (parts[i].writable ? kDescWrite : 0);
    WriteEntry(*slice, i, parts[i].address.value(), parts[i].size, static_cast<uint16_t>(flags),
               static_cast<uint16_t>(last ? 0 : i + 1));
  }
  const uint16_t head = free_.back();
  free_.pop_back();
  WriteDescriptor(head, table.value(), static_cast<uint32_t>(slice->size()), kDescIndirect, 0);
  return Offer({head});
}

uint16_t QueueFake::Offer(std::vector<uint16_t> chain) {
  const uint16_t head = chain.front();
  WriteAvailable(avail_index_ % size_, head);
  ++avail_index_;
  chain_[head] = std::move(chain);
  return head;
}

bool QueueFake::Kick() {
  const uint16_t old = std::exchange(kicked_, avail_index_);
  WriteAvailableIndex(avail_index_);
  GuestFullFence();
  if (old == kicked_) return false;
  if (!event_idx_) return !no_notify();
  return static_cast<uint16_t>(kicked_ - avail_event() - 1) < static_cast<uint16_t>(kicked_ - old);
}

std::optional<QueueFake::Used> QueueFake::TakeUsed() {
  if (used_index() == used_seen_) return std::nullopt;
  const uint64_t slot = UsedSlot(used_seen_ % size_);
  const Used used = {*used_.Load<uint32_t>(slot), *used_.Load<uint32_t>(slot + 4)};
  ++used_seen_;
  if (used.head < chain_.size()) {
    free_.insert(free_.end(), chain_[used.head].rbegin(), chain_[used.head].rend());
    chain_[used.head].clear();
  }
  return used;
}

uint16_t QueueFake::used_index() const { return *used_.LoadAcquire<uint16_t>(2); }

void QueueFake::SetUsedEvent(uint16_t used_event) {
  HEARTH_CHECK(avail_.StoreRelease(AvailSlot(size_), used_event));
}

void QueueFake::SetNoInterrupt(bool no_interrupt) {
  HEARTH_CHECK(avail_.StoreRelease(0, static_cast<uint16_t>(no_interrupt)));
}

uint16_t QueueFake::avail_event() const { return *used_.LoadAcquire<uint16_t>(UsedSlot(size_)); }

bool QueueFake::no_notify() const { return (*used_.LoadAcquire<uint16_t>(0) & 1) != 0; }

void QueueFake::WriteEntry(const GuestSlice& table, uint64_t index, uint64_t address, uint32_t size,
                           uint16_t flags, uint16_t next) {
  const uint64_t at = 16 * index;
  HEARTH_CHECK(table.Store(at, address) && table.Store(at + 8, size) &&
               table.Store(at + 12, flags) && table.Store(at + 14, next));
}

void QueueFake::WriteDescriptor(uint16_t index, uint64_t address, uint32_t size, uint16_t flags,
                                uint16_t next) {
  WriteEntry(descriptors_, index, address, size, flags, next);
}

void QueueFake::WriteAvailable(uint16_t slot, uint16_t head) {
  HEARTH_CHECK(avail_.Store(AvailSlot(slot), head));
}

void QueueFake::WriteAvailableIndex(uint16_t index) { HEARTH_CHECK(avail_.StoreRelease(2, index)); }

}  // namespace hearth::virtio
