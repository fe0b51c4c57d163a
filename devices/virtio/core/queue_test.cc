// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <thread>
#include <vector>

#include "devices/virtio/core/queue_fixture.h"

namespace hearth::virtio {
namespace {

TEST_F(QueueTest, ARequestGoesThereAndBack) {
  ASSERT_TRUE(memory_->Write("", kData, "header").ok());
  const auto head =
      driver_->Add({{kData, 4, false}, {kData + 4, 2, false}, {kData + 100, 5, true}});
  EXPECT_TRUE(driver_->Kick());
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.head(), head);
  ASSERT_EQ(chain.readable().size(), 2u);
  ASSERT_EQ(chain.writable().size(), 1u);
  EXPECT_EQ(chain.readable_bytes(), 6u);
  EXPECT_EQ(chain.writable_bytes(), 5u);
  char text[6];
  ASSERT_TRUE(chain.CopyOut(1, text, 4));
  EXPECT_EQ(std::string(text, 4), "eade");
  ASSERT_TRUE(chain.CopyIn(0, "reply", 5));
  EXPECT_EQ(queue_->in_flight(), 1u);
  queue_->Complete(&chain, 5);
  EXPECT_EQ(queue_->in_flight(), 0u);
  EXPECT_EQ(driver_->used_index(), 0);
  EXPECT_TRUE(queue_->has_unpublished());
  EXPECT_EQ(Interrupts(), 0u);
  queue_->Publish();
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(interrupt_.status(), Interrupt::kUsedBuffer);
  const auto used = driver_->TakeUsed();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->head, head);
  EXPECT_EQ(used->written, 5u);
  EXPECT_EQ(Text(kData + 100, 5), "reply");
  EXPECT_EQ(queue_->Pop(&chain), PopResult::kEmpty);
  queue_->Publish();
  EXPECT_EQ(Interrupts(), 0u) << "nothing new to publish";
}

TEST_F(QueueTest, IndirectTablesAloneAndBehindDirectDescriptors) {
  ASSERT_TRUE(driver_->AddIndirect({{kData, 10, false}, {kData, 20, true}}, kTable).has_value());
  driver_->Kick();
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.readable_bytes(), 10u);
  EXPECT_EQ(chain.writable_bytes(), 20u);
  queue_->Complete(&chain, 0);

  // The write flag of the reference means nothing.
  driver_->WriteDescriptor(5, kData.value(), 3, kDescNext, 6);
  driver_->WriteDescriptor(6, kTable.value(), 32, kDescIndirect | kDescWrite, 0);
  driver_->WriteAvailable(1, 5);
  driver_->WriteAvailableIndex(2);
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.head(), 5);
  EXPECT_EQ(chain.readable_bytes(), 13u);
  EXPECT_EQ(chain.readable().size(), 2u);
  EXPECT_EQ(chain.writable_bytes(), 20u);
  queue_->Complete(&chain, 0);
}

TEST_F(QueueTest, AChainOfTheQueuesSizePasses) {
  const std::vector<QueueFake::Part> parts(kSize, {kData, 1, true});
  ASSERT_TRUE(driver_->Add(parts).has_value());
  driver_->Kick();
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.writable().size(), kSize);
  queue_->Complete(&chain, 0);
  queue_->Publish();
  ASSERT_TRUE(driver_->TakeUsed().has_value());
  ASSERT_TRUE(driver_->AddIndirect(parts, kTable).has_value());
  driver_->Kick();
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.writable().size(), kSize);
  queue_->Complete(&chain, 0);
}

TEST_F(QueueTest, EmptyBuffersAreLeftOut) {
  // Their addresses mean nothing.
  driver_->WriteDescriptor(0, ~0ull, 0, kDescNext, 1);
  driver_->WriteDescriptor(1, kData.value(), 7, kDescNext, 2);
  driver_->WriteDescriptor(2, ~0ull, 0, kDescNext | kDescWrite, 3);
  driver_->WriteDescriptor(3, kData.value(), 9, kDescWrite, 0);
  Offer(0);
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.readable().size(), 1u);
  EXPECT_EQ(chain.writable().size(), 1u);
  EXPECT_EQ(chain.readable_bytes(), 7u);
  EXPECT_EQ(chain.writable_bytes(), 9u);
  queue_->Complete(&chain, 1000);
  queue_->Publish();
  EXPECT_EQ(driver_->TakeUsed()->written, 9u) << "no more than there is room for";
}

TEST_F(QueueTest, WhatTheDriverWritesLaterChangesNothing) {
  ASSERT_TRUE(driver_->Add({{kData, 4, false}, {kData + 8, 4, true}}).has_value());
  driver_->Kick();
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  const iovec before = chain.writable()[0];
  for (uint16_t i = 0; i < kSize; ++i) driver_->WriteDescriptor(i, ~0ull, ~0u, 0xffff, 0xffff);
  driver_->WriteAvailable(0, 0xffff);
  EXPECT_EQ(chain.writable()[0].iov_base, before.iov_base);
  EXPECT_EQ(chain.writable()[0].iov_len, 4u);
  EXPECT_TRUE(chain.CopyIn(0, "text", 4));
  queue_->Complete(&chain, 4);
}

TEST_F(QueueTest, UnpopGivesTheSameRequestAgain) {
  const auto first = driver_->Add({{kData, 1, false}});
  const auto second = driver_->Add({{kData, 2, false}});
  driver_->Kick();
  DescriptorChain a, b;
  ASSERT_EQ(queue_->Pop(&a), PopResult::kChain);
  ASSERT_EQ(queue_->Pop(&b), PopResult::kChain);
  queue_->Unpop(&b);
  queue_->Unpop(&a);
  EXPECT_EQ(queue_->in_flight(), 0u);
  EXPECT_TRUE(queue_->HasAvailable());
  ASSERT_EQ(queue_->Pop(&a), PopResult::kChain);
  EXPECT_EQ(a.head(), first);
  ASSERT_EQ(queue_->Pop(&b), PopResult::kChain);
  EXPECT_EQ(b.head(), second);
  // Completed in any order.
  queue_->Complete(&b, 0);
  queue_->Complete(&a, 0);
  queue_->Publish();
  EXPECT_EQ(driver_->TakeUsed()->head, second);
  EXPECT_EQ(driver_->TakeUsed()->head, first);
}

TEST_F(QueueTest, IndicesWrap) {
  QueueConfig config = driver_->Config(kSize);
  config.next_avail = config.next_used = 0xfffe;
  driver_->WriteAvailableIndex(0xfffe);
  queue_ = *Queue::Create(memory_.get(), 0, config, features_, &interrupt_);
  EXPECT_EQ(driver_->avail_event(), 0xfffe);
  driver_->SetUsedEvent(0);  // interrupt when the index passes 0, the third request
  offered_ = 0xfffe;
  driver_->WriteDescriptor(0, kData.value(), 1, kDescWrite, 0);
  for (int i = 0; i < 4; ++i) {
    Offer(0);
    DescriptorChain chain;
    ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain) << i;
    queue_->Complete(&chain, 1);
    queue_->Publish();
    EXPECT_EQ(Interrupts(), i == 2 ? 1u : 0u) << i;
  }
  EXPECT_EQ(driver_->used_index(), 2);
  EXPECT_EQ(queue_->Save().next_avail, 2);
  EXPECT_EQ(queue_->Save().next_used, 2);
}

TEST_F(QueueTest, EventIndexOverABatch) {
  Make(kAllFeatures, 64);
  // For every event in reach: is there an interrupt exactly if a batch of 5 passes it?
  for (int event = -10; event < 30; ++event) {
    Make(kAllFeatures, 64);
    Interrupts();
    const auto complete = [&](int count) {
      DescriptorChain chain;
      for (int i = 0; i < count; ++i) {
        ASSERT_TRUE(driver_->Add({{kData, 1, true}}).has_value());
        driver_->Kick();
        ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
        queue_->Complete(&chain, 1);
      }
      queue_->Publish();
    };
    driver_->SetUsedEvent(0x8000);  // far away
    complete(10);
    ASSERT_EQ(Interrupts(), 0u);
    driver_->SetUsedEvent(static_cast<uint16_t>(event));
    complete(5);
    EXPECT_EQ(Interrupts(), event >= 10 && event < 15 ? 1u : 0u) << event;
  }
}

TEST_F(QueueTest, InterruptFlagWithoutEventIndex) {
  Make(kAllFeatures & ~kFeatureEventIdx, kSize);
  const auto complete = [&] {
    DescriptorChain chain;
    ASSERT_TRUE(driver_->Add({{kData, 1, true}}).has_value());
    driver_->Kick();
    ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
    queue_->Complete(&chain, 1);
    queue_->Publish();
  };
  complete();
  EXPECT_EQ(Interrupts(), 1u);
  driver_->SetNoInterrupt(true);
  complete();
  EXPECT_EQ(Interrupts(), 0u);
  driver_->SetNoInterrupt(false);
  complete();
  EXPECT_EQ(Interrupts(), 1u);
}

TEST_F(QueueTest, NotificationsWithoutEventIndex) {
  Make(kAllFeatures & ~kFeatureEventIdx, kSize);
  EXPECT_FALSE(driver_->no_notify());
  queue_->DisableNotify();
  EXPECT_TRUE(driver_->no_notify());
  ASSERT_TRUE(driver_->Add({{kData, 1, true}}).has_value());
  EXPECT_FALSE(driver_->Kick());
  EXPECT_TRUE(queue_->EnableNotify()) << "came without a notification";
  EXPECT_FALSE(driver_->no_notify());
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  queue_->Complete(&chain, 0);
  EXPECT_FALSE(queue_->EnableNotify());
  ASSERT_TRUE(driver_->Add({{kData, 1, true}}).has_value());
  EXPECT_TRUE(driver_->Kick());
}

TEST_F(QueueTest, NotificationsWithEventIndex) {
  const auto add = [&] {
    EXPECT_TRUE(driver_->Add({{kData, 1, true}}).has_value());
    return driver_->Kick();
  };
  const auto take_all = [&] {
    DescriptorChain chain;
    while (queue_->Pop(&chain) == PopResult::kChain) queue_->Complete(&chain, 0);
    queue_->Publish();
    while (driver_->TakeUsed().has_value()) {
    }
  };
  EXPECT_TRUE(add());
  queue_->DisableNotify();
  EXPECT_FALSE(add()) << "it was told of the one before";
  take_all();
  EXPECT_FALSE(add()) << "not enabled again yet";
  EXPECT_TRUE(queue_->EnableNotify());
  take_all();
  EXPECT_FALSE(queue_->EnableNotify());
  EXPECT_TRUE(add());
  // A device that never disables hears of the first request after each time it found none.
  for (int i = 0; i < 20; ++i) {
    take_all();
    EXPECT_TRUE(add()) << i;
    EXPECT_FALSE(add()) << i;
  }
}

TEST_F(QueueTest, ANewQueueTakesUpWhereTheOldOneStopped) {
  DescriptorChain chain;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(driver_->Add({{kData, 1, true}}).has_value());
    driver_->Kick();
    ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
    queue_->Complete(&chain, 1);
    queue_->Publish();
  }
  queue_->DisableNotify();
  const QueueConfig saved = queue_->Save();
  EXPECT_EQ(saved.next_avail, 3);
  EXPECT_EQ(saved.next_used, 3);
  const auto head = driver_->Add({{kData, 2, true}});
  EXPECT_FALSE(driver_->Kick());
  queue_ = *Queue::Create(memory_.get(), 0, saved, features_, &interrupt_);
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  EXPECT_EQ(chain.head(), head);
  queue_->Complete(&chain, 1);
  queue_->Publish();
  EXPECT_EQ(driver_->used_index(), 4);
}

TEST_F(QueueTest, DirtyPagesAreThoseWritten) {
  Make(kAllFeatures, kSize, /*track_dirty=*/true);
  ASSERT_TRUE(driver_
                  ->Add({{GuestAddress(0x20000), 0x1000, false},
                         {GuestAddress(0x30ffe), 4, true},
                         {GuestAddress(0x40000), 0x3000, true}})
                  .has_value());
  driver_->Kick();
  DescriptorChain chain;
  ASSERT_EQ(queue_->Pop(&chain), PopResult::kChain);
  DirtyBitmap& dirty = *memory_->dirty_bitmap();
  (void)dirty.TakeAndClear();
  queue_->Complete(&chain, 4 + 0x1001);
  queue_->Publish();
  for (uint64_t page = 0; page < dirty.pages(); ++page) {
    // The rings are in one page; the used ring too.
    const bool expected = page == kRings.value() / kPageSize || page == 0x30 || page == 0x31 ||
                          page == 0x40 || page == 0x41;
    EXPECT_EQ(dirty.IsDirty(page), expected) << page;
  }
}

// A driver on another thread, each side telling the other only when it asked for it: one lost
// notification or interrupt, and the test would hang.

TEST_F(QueueTest, NothingIsLostBetweenThreads) {
  for (const bool event_idx : {true, false}) {
    constexpr uint32_t kRequests = 10000;
    Make(event_idx ? kAllFeatures : kAllFeatures & ~kFeatureEventIdx, kSize);
    const IrqLine notify = *IrqLine::Create();  // an eventfd as good as any
    const auto wait = [](const IrqLine& line) {
      pollfd readable = {.fd = line.fd(), .events = POLLIN};
      EXPECT_EQ(poll(&readable, 1, /*timeout_ms=*/60'000), 1) << "lost";
      (void)TakeInterrupts(line);
    };
    std::thread device([&] {
      DescriptorChain chain;
      for (uint32_t done = 0; done < kRequests;) {
        queue_->DisableNotify();
        do {
          while (queue_->Pop(&chain) == PopResult::kChain) {
            uint32_t number = 0;
            EXPECT_TRUE(chain.CopyOut(0, &number, sizeof(number)));
            EXPECT_TRUE(chain.CopyIn(0, &++number, sizeof(number)));
            queue_->Complete(&chain, sizeof(number));
            ++done;
          }
          queue_->Publish();
        } while (queue_->EnableNotify());
        if (done < kRequests) wait(notify);
      }
    });
    uint32_t sent = 0, received = 0;
    while (received < kRequests) {
      bool notify_wanted = false;
      while (sent < kRequests && sent - received < kSize / 2) {
        const GuestAddress at = kData + sent % kSize * 8;
        ASSERT_TRUE(memory_->Slice(at, 4)->Store<uint32_t>(0, sent));
        ASSERT_TRUE(driver_->Add({{at, 4, false}, {at + 4, 4, true}}).has_value());
        ++sent;
        notify_wanted |= driver_->Kick();
      }
      if (notify_wanted) notify.Trigger();
      while (driver_->TakeUsed().has_value()) {
        EXPECT_EQ(memory_->Slice(kData + received % kSize * 8 + 4, 4)->Load<uint32_t>(0),
                  received + 1);
        ++received;
      }
      if (received == kRequests || (sent < kRequests && sent - received < kSize / 2)) continue;
      // Ask for an interrupt, look once more, sleep.
      if (event_idx) driver_->SetUsedEvent(static_cast<uint16_t>(received));
      GuestFullFence();
      if (driver_->used_index() == static_cast<uint16_t>(received)) wait(interrupt_.line());
    }
    device.join();
  }
}

}  // namespace
}  // namespace hearth::virtio
