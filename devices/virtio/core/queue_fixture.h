// SPDX-License-Identifier: Apache-2.0
// For tests of Queue: a queue, its memory, and its driver.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_QUEUE_FIXTURE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_QUEUE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "devices/virtio/core/device.h"
#include "devices/virtio/core/queue.h"
#include "devices/virtio/core/queue_fake.h"

namespace hearth::virtio {

using PopResult = Queue::PopResult;

inline constexpr uint64_t kMemoryBytes = 1 << 20;
inline constexpr GuestAddress kRings(0x1000);
inline constexpr GuestAddress kData(0x8000);
inline constexpr GuestAddress kTable(0x6000);
inline constexpr uint64_t kAllFeatures = kTransportFeatures;
inline constexpr uint16_t kSize = 8;

class QueueTest : public testing::Test {
 protected:
  QueueTest() : interrupt_(*IrqLine::Create()) { Make(kAllFeatures, kSize); }

  void Make(uint64_t features, uint16_t size, bool track_dirty = false) {
    queue_.reset();
    memory_ = *GuestMemory::Create({.size_bytes = kMemoryBytes, .track_dirty = track_dirty});
    driver_ = std::make_unique<QueueFake>(memory_.get(), kRings, size,
                                          (features & kFeatureEventIdx) != 0);
    features_ = features;
    queue_ = *Queue::Create(memory_.get(), 0, driver_->Config(size), features, &interrupt_);
  }
  // One descriptor by hand, offered as the next request.
  void Offer(uint16_t head) {
    driver_->WriteAvailable(offered_ % kSize, head);
    driver_->WriteAvailableIndex(++offered_);
  }
  uint64_t Interrupts() { return TakeInterrupts(interrupt_.line()); }
  // Pop() must fail for this reason and for ever.
  void ExpectFault(const std::string& why) {
    DescriptorChain chain;
    ASSERT_EQ(queue_->Pop(&chain), PopResult::kFault);
    EXPECT_EQ(queue_->fault(), "queue 0: " + why);
    EXPECT_FALSE(chain.pending());
    EXPECT_TRUE(queue_->HasAvailable());
    EXPECT_EQ(queue_->Pop(&chain), PopResult::kFault);
    EXPECT_EQ(queue_->in_flight(), 0u);
  }
  std::string Text(GuestAddress at, size_t size) {
    std::string text(size, '\0');
    EXPECT_TRUE(memory_->Slice(at, size)->CopyOut(0, text.data(), size));
    return text;
  }

  Interrupt interrupt_;
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<QueueFake> driver_;
  uint64_t features_ = 0;
  std::unique_ptr<Queue> queue_;
  uint16_t offered_ = 0;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_QUEUE_FIXTURE_H_
