// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/receiver.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace hearth::virtio::net {
namespace {

// At first, and at least: a packet of the usual MTU.
constexpr uint32_t kSmallBytes = kHeaderBytes + kEthernetBytes + 4 + 1500;
// What is larger than this is one of a stream of packets of any size up to the largest.
constexpr uint32_t kLargeBytes = 4096;
constexpr int kPacketsPerLook = 256;
// So that these, a chain's 512 more and the spill are within readv's 1024.
constexpr size_t kMaxVectors = 511;

}  // namespace

Receiver::Receiver(Port* port, Throttle* throttle, PacketHook* hook, Counters* counters)
    : port_(port), throttle_(throttle), hook_(hook), counters_(*counters) {}

void Receiver::Start(Queue* queue, bool mergeable) {
  queue_ = queue;
  mergeable_ = mergeable;
  const size_t size = std::bit_ceil(size_t{queue->size()});
  if (chains_.size() < size) chains_.resize(size);
  chain_mask_ = static_cast<uint32_t>(chains_.size() - 1);
  first_chain_ = chain_count_ = 0;
  vectors_.clear();
  vectors_.reserve(64);
  first_vector_ = 0;
  window_bytes_ = 0;
  wanted_bytes_ = mergeable ? kSmallBytes : 1;
  largest_seen_ = 0;
  packets_seen_ = 0;
  held_bytes_ = spill_from_ = 0;
  waiting_since_ = {};
  why_.clear();
  if (spill_ == nullptr) spill_ = std::make_unique_for_overwrite<uint8_t[]>(kMaxPacketBytes);
  if (hook_ != nullptr && pulled_ == nullptr) {
    pulled_ = std::make_unique_for_overwrite<uint8_t[]>(kMaxPacketBytes);
  }
  // Notifications are of use only when the driver has given no buffers.
  queue_->DisableNotify();
}

void Receiver::Stop() {
  if (queue_ == nullptr) return;
  for (; chain_count_ > 0; --chain_count_) queue_->Unpop(&chain(chain_count_ - 1));
  queue_->Publish();
  vectors_.clear();
  first_vector_ = 0;
  window_bytes_ = 0;
  held_bytes_ = 0;
  queue_ = nullptr;
}

Receiver::Result Receiver::Run(int budget) {
  const Result result = RunUnpublished(budget);
  queue_->Publish();
  return result;
}

Receiver::Result Receiver::RunUnpublished(int budget) {
  while (true) {
    if (held_bytes_ == 0) {
      if (budget-- == 0) return Result::kMore;
      if (window_bytes_ < wanted_bytes_ && TakeBuffers(wanted_bytes_) == Fill::kFault) {
        return Result::kFault;
      }
      if (window_bytes_ == 0) {
        counters_.no_rx_avail_buffer.Add();
        return Result::kNoBuffers;
      }
      const ssize_t bytes = ReadPacket();
      if (bytes <= 0) return Result::kIdle;
      held_bytes_ = static_cast<uint32_t>(bytes);
    }
    if (const Result result = Deliver(); result != Result::kMore) return result;
  }
}

Receiver::Fill Receiver::TakeBuffers(uint32_t bytes) {
  while (window_bytes_ < bytes && vectors_.size() - first_vector_ < kMaxVectors &&
         chain_count_ < chains_.size()) {
    DescriptorChain& next = chain(chain_count_);
    switch (queue_->Pop(&next)) {
      case Queue::PopResult::kFault:
        Fail(queue_->fault());
        return Fill::kFault;
      case Queue::PopResult::kEmpty:
        if (queue_->EnableNotify()) continue;
        return Fill::kShort;
      case Queue::PopResult::kChain:
        break;
    }
    if (next.writable_bytes() < kHeaderBytes) [[unlikely]] {
      Fail(absl::StrCat("receive queue: a buffer of ", next.writable_bytes(),
                        " bytes has no room for the header"));
      queue_->Unpop(&next);
      return Fill::kFault;
    }
    // Room at the front before more room at the end: the array stops growing.
    if (vectors_.size() + next.writable().size() > vectors_.capacity() && first_vector_ > 0) {
      vectors_.erase(vectors_.begin(), vectors_.begin() + static_cast<ptrdiff_t>(first_vector_));
      first_vector_ = 0;
    }
    vectors_.insert(vectors_.end(), next.writable().begin(), next.writable().end());
    window_bytes_ += next.writable_bytes();
    ++chain_count_;
  }
  if (window_bytes_ < bytes) return Fill::kShort;
  queue_->DisableNotify();
  return Fill::kEnough;
}

ssize_t Receiver::ReadPacket() {
  spill_from_ = static_cast<uint32_t>(std::min<uint64_t>(window_bytes_, UINT32_MAX));
  if (hook_ != nullptr) {
    if (const size_t bytes = PullFromHook(); bytes > 0) return static_cast<ssize_t>(bytes);
  }
  // A window that holds every packet needs no spill.
  const bool spill = window_bytes_ <= kMaxPacketBytes;
  if (spill) vectors_.push_back({spill_.get(), kMaxPacketBytes});
  const ssize_t bytes =
      port_->Receive({vectors_.data() + first_vector_, vectors_.size() - first_vector_});
  if (spill) vectors_.pop_back();
  if (bytes < 0) counters_.tap_read_fails.Add();
  // Cannot be, but for a backend that is out of its mind.
  if (bytes > 0 && (bytes < kHeaderBytes || bytes > kMaxPacketBytes)) [[unlikely]] {
    counters_.rx_fails.Add();
    return 0;
  }
  return bytes;
}

size_t Receiver::PullFromHook() {
  NetHeader header{};
  const size_t frame = hook_->Pull(&header, {pulled_.get() + kHeaderBytes, kMaxFrameBytes});
  if (frame == 0) return 0;
  counters_.hook_rx_packets.Add();
  std::memcpy(pulled_.get(), &header, kHeaderBytes);
  const auto bytes = static_cast<uint32_t>(std::min<size_t>(frame, kMaxFrameBytes)) + kHeaderBytes;
  const uint32_t in_window = std::min(bytes, spill_from_);
  CopyIntoWindow(0, pulled_.get(), in_window);
  std::memcpy(spill_.get(), pulled_.get() + in_window, bytes - in_window);
  return bytes;
}

Receiver::Result Receiver::Deliver() {
  if (held_bytes_ > window_bytes_) {
    counters_.rx_spills.Add(waiting_since_ == base::MonotonicTime{} ? 1 : 0);
    if (!mergeable_) {
      Drop();
      return Result::kMore;
    }
    switch (TakeBuffers(held_bytes_)) {
      case Fill::kFault:
        return Result::kFault;
      case Fill::kEnough:
        break;
      case Fill::kShort:
        const base::MonotonicTime now = std::chrono::steady_clock::now();
        if (waiting_since_ == base::MonotonicTime{}) waiting_since_ = now;
        if (now - waiting_since_ < kPatience && chain_count_ < queue_->size()) {
          counters_.no_rx_avail_buffer.Add();
          return Result::kNoBuffers;
        }
        Drop();
        return Result::kMore;
    }
  }
  const uint32_t frame_bytes = held_bytes_ - kHeaderBytes;
  if (!throttle_->unlimited() && !throttle_->Take(frame_bytes, std::chrono::steady_clock::now())) {
    counters_.rx_rate_limiter_throttled.Add();
    return Result::kThrottled;
  }
  if (held_bytes_ > spill_from_) {
    CopyIntoWindow(spill_from_, spill_.get(), held_bytes_ - spill_from_);
  }
  counters_.rx_packets_count.Add();
  counters_.rx_bytes_count.Add(frame_bytes);
  Consume(held_bytes_);
  Adapt(held_bytes_);
  held_bytes_ = 0;
  waiting_since_ = {};
  return Result::kMore;
}

void Receiver::Drop() {
  counters_.rx_fails.Add();
  if (mergeable_) Adapt(held_bytes_);
  held_bytes_ = 0;
  waiting_since_ = {};
}

void Receiver::CopyIntoWindow(uint32_t offset, const uint8_t* from, uint32_t bytes) {
  for (size_t i = first_vector_; bytes > 0 && i < vectors_.size(); ++i) {
    const iovec& to = vectors_[i];
    if (offset >= to.iov_len) {
      offset -= static_cast<uint32_t>(to.iov_len);
      continue;
    }
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(bytes, to.iov_len - offset));
    std::memcpy(static_cast<uint8_t*>(to.iov_base) + offset, from, part);
    from += part;
    bytes -= part;
    offset = 0;
  }
}

void Receiver::Consume(uint32_t bytes) {
  uint16_t buffers = 0;
  for (uint32_t left = bytes; left > 0; ++buffers) {
    left -= std::min(left, chain(buffers).writable_bytes());
  }
  // "The device MUST set num_buffers"; there is room for a header in every buffer.
  (void)chain(0).CopyIn(kNumBuffersOffset, &buffers, sizeof(buffers));
  for (uint32_t left = bytes; buffers > 0; --buffers) {
    DescriptorChain& done = chain(0);
    const uint32_t written = std::min(left, done.writable_bytes());
    left -= written;
    window_bytes_ -= done.writable_bytes();
    first_vector_ += done.writable().size();
    queue_->Complete(&done, written);
    first_chain_ = (first_chain_ + 1) & chain_mask_;
    --chain_count_;
  }
  if (first_vector_ == vectors_.size()) {
    vectors_.clear();
    first_vector_ = 0;
  }
}

void Receiver::Adapt(uint32_t bytes) {
  if (!mergeable_) return;
  largest_seen_ = std::max(largest_seen_, bytes > kLargeBytes ? kMaxPacketBytes : bytes);
  if (++packets_seen_ < kPacketsPerLook && largest_seen_ <= wanted_bytes_) return;
  wanted_bytes_ = std::max(largest_seen_, kSmallBytes);
  largest_seen_ = 0;
  packets_seen_ = 0;
}

void Receiver::Discard() {
  held_bytes_ = 0;
  waiting_since_ = {};
  const iovec room = {spill_.get(), kMaxPacketBytes};
  // At most what a host's queue may hold; what comes meanwhile is new.
  for (int i = 0; i < 4096; ++i) {
    if (port_->Receive({&room, 1}) <= 0) return;
  }
}

Receiver::Result Receiver::Fail(absl::string_view why) {
  why_ = std::string(why.data(), why.size());
  return Result::kFault;
}

}  // namespace hearth::virtio::net
