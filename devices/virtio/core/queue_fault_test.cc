// SPDX-License-Identifier: Apache-2.0
// What a queue takes for a fault, by name.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "devices/virtio/core/queue_fixture.h"

namespace hearth::virtio {
namespace {

TEST_F(QueueTest, HeadOutsideTheTable) {
  Offer(kSize);
  ExpectFault("head 8 is not below the queue's size of 8");
}

TEST_F(QueueTest, NextOutsideTheTable) {
  driver_->WriteDescriptor(0, kData.value(), 1, kDescNext, kSize);
  Offer(0);
  ExpectFault("chain 0: descriptor 0 has a next one that does not exist");
}

TEST_F(QueueTest, Loops) {
  driver_->WriteDescriptor(0, kData.value(), 1, kDescNext, 1);
  driver_->WriteDescriptor(1, kData.value(), 1, kDescNext, 0);
  Offer(0);
  ExpectFault("chain 0: descriptor 0 is part of a loop, or of more than the queue's size");
}

TEST_F(QueueTest, LoopsInAnIndirectTable) {
  const GuestSlice table = *memory_->Slice(kTable, 32);
  QueueFake::WriteEntry(table, 0, kData.value(), 1, kDescNext, 1);
  QueueFake::WriteEntry(table, 1, kData.value(), 1, kDescNext, 1);
  driver_->WriteDescriptor(3, kTable.value(), 32, kDescIndirect, 0);
  Offer(3);
  ExpectFault(
      "chain 3: descriptor 1 of its table is part of a loop, or of more than the queue's size");
}

TEST_F(QueueTest, AChainLongerThanTheQueueThroughATable) {
  // One direct descriptor and a whole table.
  const GuestSlice table = *memory_->Slice(kTable, 16 * kSize);
  for (uint16_t i = 0; i < kSize; ++i) {
    QueueFake::WriteEntry(table, i, kData.value(), 1, i + 1 < kSize ? kDescNext : 0,
                          static_cast<uint16_t>(i + 1));
  }
  driver_->WriteDescriptor(0, kData.value(), 1, kDescNext, 1);
  driver_->WriteDescriptor(1, kTable.value(), 16 * kSize, kDescIndirect, 0);
  Offer(0);
  ExpectFault(
      "chain 0: descriptor 7 of its table is part of a loop, or of more than the queue's size");
}

TEST_F(QueueTest, ReadableAfterWritable) {
  driver_->WriteDescriptor(0, kData.value(), 1, kDescNext | kDescWrite, 1);
  driver_->WriteDescriptor(1, kData.value(), 1, 0, 0);
  Offer(0);
  ExpectFault("chain 0: descriptor 1 is readable after a writable one");
}

TEST_F(QueueTest, BuffersOutsideMemory) {
  const struct {
    uint64_t address;
    uint32_t size;
  } kBad[] = {{kMemoryBytes, 1},          {kMemoryBytes - 1, 2},
              {0, kMemoryBytes + 1},      {~0ull, 2},  // wraps
              {~0ull - 4095, 4096},                    // ends at 2^64
              {0x8000'0000'0000'0000, 1}, {kMmioHoleStart.value(), 4}};
  for (const auto& bad : kBad) {
    Make(kAllFeatures, kSize);
    offered_ = 0;
    driver_->WriteDescriptor(0, bad.address, bad.size, 0, 0);
    Offer(0);
    ExpectFault("chain 0: descriptor 0 has a buffer outside memory");
  }
}

TEST_F(QueueTest, BadIndirectTables) {
  const struct {
    uint64_t address;
    uint32_t size;
    uint16_t flags;
    const char* why;
  } kBad[] = {
      {kTable.value(), 16, kDescIndirect | kDescNext, "is indirect and has a next one"},
      {kTable.value(), 0, kDescIndirect, "has an indirect table of odd length"},
      {kTable.value(), 17, kDescIndirect, "has an indirect table of odd length"},
      {kTable.value(), 16 * (kSize + 1), kDescIndirect,
       "has an indirect table longer than the queue"},
      {kTable.value(), 0xfffffff0, kDescIndirect, "has an indirect table longer than the queue"},
      {kMemoryBytes - 16, 32, kDescIndirect, "has an indirect table outside memory"},
      {~0ull - 15, 32, kDescIndirect, "has an indirect table outside memory"},
  };
  for (const auto& bad : kBad) {
    Make(kAllFeatures, kSize);
    offered_ = 0;
    driver_->WriteDescriptor(0, bad.address, bad.size, bad.flags, 1);
    Offer(0);
    ExpectFault(std::string("chain 0: descriptor 0 ") + bad.why);
  }
}

TEST_F(QueueTest, IndirectInsideIndirect) {
  QueueFake::WriteEntry(*memory_->Slice(kTable, 16), 0, kTable.value(), 16, kDescIndirect, 0);
  driver_->WriteDescriptor(0, kTable.value(), 16, kDescIndirect, 0);
  Offer(0);
  ExpectFault("chain 0: descriptor 0 of its table is indirect too");
}

TEST_F(QueueTest, IndirectWithoutTheFeature) {
  Make(kAllFeatures & ~kFeatureIndirectDesc, kSize);
  ASSERT_TRUE(driver_->AddIndirect({{kData, 1, false}}, kTable).has_value());
  driver_->Kick();
  ExpectFault("chain 0: descriptor 0 is indirect without VIRTIO_F_INDIRECT_DESC");
}

TEST_F(QueueTest, NextOutsideAnIndirectTable) {
  const GuestSlice table = *memory_->Slice(kTable, 16);
  QueueFake::WriteEntry(table, 0, kData.value(), 1, kDescNext, 1);
  driver_->WriteDescriptor(0, kTable.value(), 16, kDescIndirect, 0);
  Offer(0);
  ExpectFault("chain 0: descriptor 0 of its table has a next one that does not exist");
}

TEST(QueueLimits, MoreThan4GiBInAChain) {
  const auto memory = *GuestMemory::Create({.size_bytes = 1ull << 30});
  QueueFake driver(memory.get(), kRings, kSize);
  Interrupt interrupt(*IrqLine::Create());
  const auto queue =
      *Queue::Create(memory.get(), 0, driver.Config(kSize), kAllFeatures, &interrupt);
  // The same GiB over and over: 4 GiB less one byte pass, one byte more does not.
  const QueueFake::Part gib = {GuestAddress(0), 1u << 30, true};
  const QueueFake::Part less = {GuestAddress(0), (1u << 30) - 1, true};
  ASSERT_TRUE(driver.Add({gib, gib, gib, less}).has_value());
  driver.Kick();
  DescriptorChain chain;
  ASSERT_EQ(queue->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.writable_bytes(), UINT32_MAX);
  queue->Complete(&chain, 0);
  queue->Publish();
  ASSERT_TRUE(driver.TakeUsed().has_value());
  ASSERT_TRUE(driver.Add({gib, gib, gib, gib}).has_value());
  driver.Kick();
  EXPECT_EQ(queue->Pop(&chain), PopResult::kFault);
  EXPECT_NE(queue->fault().find("2^32 - 1"), std::string::npos) << queue->fault();
}

TEST_F(QueueTest, AvailableIndexThatJumps) {
  driver_->WriteAvailableIndex(kSize + 1);
  ExpectFault("available index jumped to 9 when the used index was 0");
  Make(kAllFeatures, kSize);
  driver_->WriteAvailableIndex(0xffff);  // backwards
  ExpectFault("available index jumped to 65535 when the used index was 0");
}

TEST_F(QueueTest, NoMoreInFlightThanTheQueuesSize) {
  // The same descriptor offered again and again while the device still has it.
  driver_->WriteDescriptor(0, kData.value(), 1, kDescWrite, 0);
  std::vector<DescriptorChain> chains(kSize + 1);
  for (uint16_t i = 0; i < kSize; ++i) {
    Offer(0);
    ASSERT_EQ(queue_->Pop(&chains[i]), PopResult::kChain);
  }
  EXPECT_EQ(queue_->in_flight(), kSize);
  Offer(0);
  EXPECT_EQ(queue_->Pop(&chains[kSize]), PopResult::kFault);
  for (uint16_t i = 0; i < kSize; ++i) queue_->Complete(&chains[i], 1);
  queue_->Publish();
  EXPECT_EQ(driver_->used_index(), kSize);
}

TEST_F(QueueTest, CreateChecksWhatTheDriverSetUp) {
  const QueueConfig good = driver_->Config(kSize);
  const auto error = [&](auto change) {
    QueueConfig config = good;
    change(config);
    const absl::Status status = Queue::Check(*memory_, config);
    EXPECT_EQ(Queue::Create(memory_.get(), 0, config, features_, &interrupt_).status(), status);
    return std::string(status.message());
  };
  EXPECT_EQ(error([](QueueConfig&) {}), "");
  EXPECT_EQ(error([](QueueConfig& c) { c.ready = false; }),
            "ready: false; the driver has to set it");
  EXPECT_EQ(error([](QueueConfig& c) { c.size = 0; }),
            "size: 0; a power of two, at most 8, is expected");
  EXPECT_EQ(error([](QueueConfig& c) { c.size = 6; }),
            "size: 6; a power of two, at most 8, is expected");
  EXPECT_EQ(error([](QueueConfig& c) { c.size = 16; }),
            "size: 16; a power of two, at most 8, is expected");
  EXPECT_EQ(error([](QueueConfig& c) { c.guest_descriptor_table += 8; }),
            "descriptor_table: 0x1008 is not aligned to 16 bytes");
  EXPECT_EQ(error([](QueueConfig& c) { c.guest_driver_area += 1; }),
            "driver_area: 0x1081 is not aligned to 2 bytes");
  EXPECT_EQ(error([](QueueConfig& c) { c.guest_device_area += 2; }),
            "device_area: 0x109a is not aligned to 4 bytes");
  EXPECT_EQ(error([](QueueConfig& c) { c.guest_descriptor_table = kMemoryBytes - 64; }),
            "descriptor_table: 128 bytes at 0xfffc0 are not in the guest's memory");
  EXPECT_EQ(error([](QueueConfig& c) { c.guest_driver_area = ~0ull - 1; }),
            "driver_area: 22 bytes at 0xfffffffffffffffe are not in the guest's memory");
  EXPECT_EQ(error([](QueueConfig& c) { c.guest_device_area = kMemoryBytes - 68; }),
            "device_area: 70 bytes at 0xfffbc are not in the guest's memory");
  EXPECT_EQ(error([](QueueConfig& c) { c.next_used = 1; }),
            "next_used: 1 differs from next_avail (0), but nothing is in flight");
}

}  // namespace
}  // namespace hearth::virtio
