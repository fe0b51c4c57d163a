// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/queue.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/core/device.h"

namespace hearth::virtio {
namespace {

// "The Virtqueue Descriptor Table".
constexpr uint64_t kDescriptorBytes = 16;
constexpr uint16_t kFlagNext = 1;
constexpr uint16_t kFlagWrite = 2;
constexpr uint16_t kFlagIndirect = 4;

// "The Virtqueue Available Ring" and "The Virtqueue Used Ring": flags, idx, ring, event.
constexpr uint64_t kFlags = 0;
constexpr uint64_t kIndex = 2;
constexpr uint64_t kRing = 4;
constexpr uint64_t kAvailElement = 2;
constexpr uint64_t kUsedElement = 8;
constexpr uint16_t kNoInterrupt = 1;
constexpr uint16_t kNoNotify = 1;

constexpr uint64_t AvailEnd(uint64_t size) { return kRing + kAvailElement * size; }
constexpr uint64_t UsedEnd(uint64_t size) { return kRing + kUsedElement * size; }
constexpr uint64_t kEventBytes = 2;

absl::StatusOr<GuestSlice> Area(const GuestMemory& memory, absl::string_view name, uint64_t address,
                                uint64_t alignment, uint64_t size) {
  if (address % alignment != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": 0x", absl::Hex(address), " is not aligned to ", alignment, " bytes"));
  }
  const std::optional<GuestSlice> slice = memory.Slice(GuestAddress(address), size);
  if (!slice.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": ", size, " bytes at 0x", absl::Hex(address), " are not in the guest's memory"));
  }
  return *slice;
}

// What is wrong with a descriptor that refers to an indirect table; "" for nothing.
absl::string_view CheckIndirect(uint16_t flags, uint32_t bytes, bool allowed, bool nested,
                                uint32_t queue_size) {
  if (!allowed) return "is indirect without VIRTIO_F_INDIRECT_DESC";
  if (nested) return "is indirect too";
  if ((flags & kFlagNext) != 0) return "is indirect and has a next one";
  if (bytes == 0 || bytes % kDescriptorBytes != 0) return "has an indirect table of odd length";
  if (bytes / kDescriptorBytes > queue_size) return "has an indirect table longer than the queue";
  return "";
}

}  // namespace

absl::StatusOr<Queue::Areas> Queue::FindAreas(const GuestMemory& memory,
                                              const QueueConfig& config) {
  if (!config.ready) return absl::InvalidArgumentError("ready: false; the driver has to set it");
  if (!std::has_single_bit(config.size) || config.size > config.max_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "size: ", config.size, "; a power of two, at most ", config.max_size, ", is expected"));
  }
  if (config.next_avail != config.next_used) {
    return absl::InvalidArgumentError(absl::StrCat("next_used: ", config.next_used,
                                                   " differs from next_avail (", config.next_avail,
                                                   "), but nothing is in flight"));
  }
  Areas areas;
  HEARTH_ASSIGN_OR_RETURN(areas.descriptors,
                          Area(memory, "descriptor_table", config.guest_descriptor_table, 16,
                               kDescriptorBytes * config.size));
  HEARTH_ASSIGN_OR_RETURN(areas.avail, Area(memory, "driver_area", config.guest_driver_area, 2,
                                            AvailEnd(config.size) + kEventBytes));
  HEARTH_ASSIGN_OR_RETURN(areas.used, Area(memory, "device_area", config.guest_device_area, 4,
                                           UsedEnd(config.size) + kEventBytes));
  return areas;
}

absl::Status Queue::Check(const GuestMemory& memory, const QueueConfig& config) {
  return FindAreas(memory, config).status();
}

absl::StatusOr<std::unique_ptr<Queue>> Queue::Create(const GuestMemory* memory, uint16_t index,
                                                     const QueueConfig& config, uint64_t features,
                                                     Interrupt* interrupt) {
  HEARTH_ASSIGN_OR_RETURN(const Areas areas, FindAreas(*memory, config));
  std::unique_ptr<Queue> queue(new Queue(memory, index, config, features, interrupt, areas));
  // What an earlier owner of the rings left there: an index from before a pause, or the wish not to
  // be notified.
  queue->notify_enabled_ = false;
  (void)queue->EnableNotify();
  return queue;
}

Queue::Queue(const GuestMemory* memory, uint16_t index, const QueueConfig& config,
             uint64_t features, Interrupt* interrupt, const Areas& areas)
    : memory_(memory),
      interrupt_(interrupt),
      descriptors_(areas.descriptors),
      avail_(areas.avail),
      used_(areas.used),
      config_(config),
      mask_(static_cast<uint16_t>(config.size - 1)),
      index_(index),
      event_idx_((features & kFeatureEventIdx) != 0),
      indirect_((features & kFeatureIndirectDesc) != 0),
      avail_index_(config.next_avail),
      published_used_(config.next_used) {}

Queue::PopResult Queue::Fail(absl::string_view what) {
  fault_ = absl::StrCat("queue ", index_, ": ", what);
  return PopResult::kFault;
}

Queue::PopResult Queue::Pop(DescriptorChain* chain) {
  HEARTH_CHECK(!chain->pending_);
  if (faulted()) [[unlikely]]
    return PopResult::kFault;
  if (avail_index_ == config_.next_avail) {
    ReloadAvailableIndex();
    if (avail_index_ == config_.next_avail) {
      // While notifications are enabled, the driver has to notify of the very next request.
      if (!event_idx_ || !notify_enabled_ || event_ == avail_index_ || !EnableNotify()) {
        return PopResult::kEmpty;
      }
    }
  }
  // No more requests than descriptors between what the driver has added and what it has got back.
  // This bounds what is in flight, too.
  if (static_cast<uint16_t>(avail_index_ - published_used_) > config_.size) [[unlikely]] {
    return Fail(absl::StrCat("available index jumped to ", avail_index_,
                             " when the used index was ", published_used_));
  }
  const uint16_t head =
      *avail_.Load<uint16_t>(kRing + kAvailElement * (config_.next_avail & mask_));
  if (head >= config_.size) [[unlikely]] {
    return Fail(absl::StrCat("head ", head, " is not below the queue's size of ", config_.size));
  }
  if (!ReadChain(head, chain)) [[unlikely]]
    return PopResult::kFault;
  chain->head_ = head;
  chain->pending_ = true;
  ++config_.next_avail;
  ++in_flight_;
  return PopResult::kChain;
}

bool Queue::ReadChain(uint16_t head, DescriptorChain* chain) {
  chain->vectors_.clear();
  GuestSlice table = descriptors_;
  uint32_t entries = config_.size;
  uint32_t index = head;
  size_t readable_count = 0;
  uint64_t readable_bytes = 0;
  uint64_t total_bytes = 0;
  bool nested = false;
  bool writing = false;
  const auto fault = [&](absl::string_view what) {
    Fail(absl::StrCat("chain ", head, ": descriptor ", index, nested ? " of its table " : " ",
                      what));
    return false;
  };
  for (uint32_t left = config_.size; left > 0;) {
    // Each half is loaded once: what was checked is what is used.
    const uint64_t guest_address = *table.Load<uint64_t>(index * kDescriptorBytes);
    const uint64_t rest = *table.Load<uint64_t>(index * kDescriptorBytes + 8);
    const auto bytes = static_cast<uint32_t>(rest);
    const auto flags = static_cast<uint16_t>(rest >> 32);
    const auto next = static_cast<uint16_t>(rest >> 48);

    if ((flags & kFlagIndirect) != 0) {
      // May come behind direct ones, and ends them. Its own write flag means nothing.
      const absl::string_view wrong = CheckIndirect(flags, bytes, indirect_, nested, config_.size);
      if (!wrong.empty()) [[unlikely]]
        return fault(wrong);
      const std::optional<GuestSlice> slice = memory_->Slice(GuestAddress(guest_address), bytes);
      if (!slice.has_value()) [[unlikely]]
        return fault("has an indirect table outside memory");
      table = *slice;
      entries = bytes / kDescriptorBytes;
      index = 0;
      nested = true;
      continue;
    }
    --left;
    if ((flags & kFlagWrite) == 0) {
      if (writing) [[unlikely]]
        return fault("is readable after a writable one");
    } else if (!writing) {
      writing = true;
      readable_count = chain->vectors_.size();
      readable_bytes = total_bytes;
    }
    if (bytes != 0) {
      const std::optional<GuestSlice> slice = memory_->Slice(GuestAddress(guest_address), bytes);
      if (!slice.has_value()) [[unlikely]]
        return fault("has a buffer outside memory");
      chain->vectors_.push_back(slice->AsIovec());
      total_bytes += bytes;
    }
    if ((flags & kFlagNext) == 0) {
      if (total_bytes > UINT32_MAX) [[unlikely]]
        return fault("ends more than 2^32 - 1 bytes");
      if (!writing) {
        readable_count = chain->vectors_.size();
        readable_bytes = total_bytes;
      }
      chain->readable_count_ = readable_count;
      chain->readable_bytes_ = static_cast<uint32_t>(readable_bytes);
      chain->writable_bytes_ = static_cast<uint32_t>(total_bytes - readable_bytes);
      return true;
    }
    if (next >= entries) [[unlikely]]
      return fault("has a next one that does not exist");
    index = next;
  }
  return fault("is part of a loop, or of more than the queue's size");
}

void Queue::Unpop(DescriptorChain* chain) {
  HEARTH_CHECK(chain->pending_ && in_flight_ > 0);
  chain->pending_ = false;
  --config_.next_avail;
  --in_flight_;
}

void Queue::Complete(DescriptorChain* chain, uint32_t written) {
  HEARTH_CHECK(chain->pending_ && in_flight_ > 0);
  chain->pending_ = false;
  --in_flight_;
  written = std::min(written, chain->writable_bytes_);
  if (memory_->dirty_bitmap() != nullptr) [[unlikely]]
    MarkDirty(*chain, written);
  const uint64_t element = uint64_t{written} << 32 | chain->head_;
  HEARTH_CHECK(used_.Store(kRing + kUsedElement * (config_.next_used & mask_), element));
  ++config_.next_used;
}

void Queue::MarkDirty(const DescriptorChain& chain, uint32_t written) const {
  uint64_t left = written;
  for (iovec piece : chain.writable()) {
    piece.iov_len = std::min<uint64_t>(piece.iov_len, left);
    memory_->MarkDirty(piece);
    left -= piece.iov_len;
  }
}

void Queue::Publish() {
  if (!has_unpublished()) return;
  const uint16_t old = std::exchange(published_used_, config_.next_used);
  // Release: who sees the index sees the elements, and the data in the buffers.
  HEARTH_CHECK(used_.StoreRelease(kIndex, published_used_));
  // The driver stores its wish, then looks for the index: one of us sees the other.
  GuestFullFence();
  if (event_idx_) {
    const uint16_t guest_event = *avail_.LoadAcquire<uint16_t>(AvailEnd(config_.size));
    // Did the index pass `guest_event` now? Exact across the wrap at 2^16.
    if (static_cast<uint16_t>(published_used_ - guest_event - 1) >=
        static_cast<uint16_t>(published_used_ - old)) {
      return;
    }
  } else if ((*avail_.LoadAcquire<uint16_t>(kFlags) & kNoInterrupt) != 0) {
    return;
  }
  interrupt_->RaiseFromLoop(Interrupt::kUsedBuffer);
}

void Queue::ReloadAvailableIndex() const {
  // Acquire: the elements and descriptors of what is seen as added are seen too.
  avail_index_ = *avail_.LoadAcquire<uint16_t>(kIndex);
}

bool Queue::HasAvailable() const {
  if (avail_index_ == config_.next_avail) ReloadAvailableIndex();
  return avail_index_ != config_.next_avail || faulted();
}

void Queue::DisableNotify() {
  if (!notify_enabled_) return;
  notify_enabled_ = false;
  // With event index there is nothing to write: the driver notifies when it passes the event, and
  // that lies behind it.
  if (!event_idx_) HEARTH_CHECK(used_.StoreRelease(kFlags, kNoNotify));
}

bool Queue::EnableNotify() {
  if (event_idx_) {
    if (!notify_enabled_ || event_ != config_.next_avail) {
      event_ = config_.next_avail;
      HEARTH_CHECK(used_.StoreRelease(UsedEnd(config_.size), event_));
      GuestFullFence();
    }
  } else if (!notify_enabled_) {
    HEARTH_CHECK(used_.StoreRelease(kFlags, uint16_t{0}));
    GuestFullFence();
  }
  notify_enabled_ = true;
  return HasAvailable();
}

}  // namespace hearth::virtio
