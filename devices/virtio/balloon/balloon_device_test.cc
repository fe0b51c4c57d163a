// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/balloon_device.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "devices/virtio/balloon/balloon_test_base.h"
#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::balloon {
namespace {

TEST_F(BalloonTest, OffersWhatWasConfigured) {
  Create({});
  EXPECT_EQ(device().features(), kFeatureMustTellHost);
  EXPECT_EQ(device().queue_sizes().size(), 2u);
  Create({.stats_polling_interval_s = 1});
  EXPECT_EQ(device().features(), kFeatureMustTellHost | kFeatureStatsVq);
  EXPECT_EQ(device().queue_sizes().size(), 3u);
  Create({.deflate_on_oom = true, .free_page_hinting = true});
  EXPECT_EQ(device().features(),
            kFeatureMustTellHost | kFeatureDeflateOnOom | kFeatureFreePageHint);
  EXPECT_EQ(device().queue_sizes().size(), 3u);
  Create(kAll);
  EXPECT_EQ(device().features(), 0x3fu);
  EXPECT_EQ(device().queue_sizes().size(), 5u);
  EXPECT_EQ(driver_->Read(kDeviceId), 5u);
}

TEST_F(BalloonTest, InflatedPagesGoBackToTheHostAndReadZero) {
  Create(kAll);
  Start();
  Fill(2 * kMib, 4 * kMib);
  std::vector<uint32_t> pages(256);
  std::iota(pages.rbegin(), pages.rend(), 2 * kMib / kPageSize);  // falling, as Linux has them
  Add(kInflateQ, Bytes(pages));
  EXPECT_EQ(Completed(kInflateQ), 1);
  EXPECT_EQ(driver_->TakeInterrupt(), 1u);
  EXPECT_EQ(ResidentPages(2 * kMib, 4 * kMib), 3 * 256u);
  EXPECT_EQ(Metric("discards"), 1u) << "neighbours cost one system call";
  EXPECT_EQ(Metric("inflate_count"), 1u);
  EXPECT_EQ(Metric("inflate_pages"), 256u);
  EXPECT_EQ(Metric("inflate_freed"), kMib);

  Add(kDeflateQ, Bytes(pages));
  EXPECT_EQ(Completed(kDeflateQ), 1);
  EXPECT_EQ(Metric("deflate_count"), 1u);
  EXPECT_EQ(Metric("deflate_pages"), 256u);
  EXPECT_TRUE(IsFull(2 * kMib, kMib, 0));
  EXPECT_TRUE(IsFull(3 * kMib, 3 * kMib, 0xaa));
}

TEST_F(BalloonTest, ScatteredPagesAreEachGivenBack) {
  Create(kAll);
  Start();
  Fill(2 * kMib, 4 * kMib);
  std::vector<uint32_t> pages;
  for (uint32_t page = 512; page < 1024; page += 2) pages.push_back(page);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(1));
  Add(kInflateQ, Bytes(pages));
  EXPECT_EQ(Completed(kInflateQ), 1);
  EXPECT_EQ(Metric("inflate_freed"), 256 * kPageSize);
  EXPECT_EQ(Metric("discards"), 256u);
  for (uint64_t page = 512; page < 1024; ++page)
    ASSERT_TRUE(IsFull(page * kPageSize, kPageSize, page % 2 == 0 ? 0 : 0xaa)) << page;
}

TEST_F(BalloonTest, PagesThatAreNotThereAreCounted) {
  Create(kAll);
  Start();
  Fill(15 * kMib, kMib);
  const uint32_t end = kMemory / kPageSize;
  Add(kInflateQ, Bytes({end - 1, end, end + 1, 0xffffffff, 0xd0000, end - 1}));
  EXPECT_EQ(Completed(kInflateQ), 1);
  EXPECT_EQ(Metric("invalid_pages"), 4u);
  EXPECT_EQ(Metric("inflate_freed"), kPageSize);
  EXPECT_EQ(Metric("inflate_fails"), 0u);
  EXPECT_TRUE(IsFull(kMemory - kPageSize, kPageSize, 0));
  EXPECT_TRUE(IsFull(15 * kMib, kMib - kPageSize, 0xaa));
}

TEST_F(BalloonTest, OddArraysAreSurvived) {
  Create(kAll);
  Start();
  Fill(2 * kMib, kMib);
  Add(kInflateQ, Bytes({512}) + "abc");
  Add(kInflateQ, "ab");
  Add(kInflateQ, "", 4096);  // nothing to read
  EXPECT_EQ(Completed(kInflateQ), 3);
  EXPECT_EQ(Metric("inflate_pages"), 1u);
  EXPECT_EQ(Metric("event_fails"), 2u);
  // Page numbers across the border of two buffers.
  const std::string bytes = Bytes({513, 514});
  const GuestAddress at = driver_->AllocateAndWrite(bytes);
  ASSERT_TRUE(driver_->queue(kInflateQ).Add({{at, 3, false}, {at + 3, 5, false}}).has_value());
  driver_->Kick(kInflateQ);
  loop_.Settle();
  EXPECT_EQ(Completed(kInflateQ), 1);
  EXPECT_TRUE(IsFull(512 * kPageSize, 3 * kPageSize, 0));
  EXPECT_EQ(driver_->status() & kDeviceNeedsReset, 0u);
}

TEST_F(BalloonTest, LongArraysTakeSeveralTurns) {
  Create(kAll, {.size_bytes = 128 * kMib});
  Start();
  const GuestAddress from(2 * kMib), array(120 * kMib);
  // Every other page: as many system calls.
  std::vector<uint32_t> pages;
  for (uint64_t page = 0; page < 112 * kMib / kPageSize; page += 2)
    pages.push_back(static_cast<uint32_t>(from.value() / kPageSize + page));
  const std::string bytes = Bytes(pages);
  ASSERT_TRUE(memory_->Write("pages", array, bytes).ok());
  ASSERT_TRUE(driver_->queue(kInflateQ)
                  .Add({{array, static_cast<uint32_t>(bytes.size()), false}})
                  .has_value());
  driver_->Kick(kInflateQ);
  ASSERT_TRUE(driver_->Add(kDeflateQ, Bytes({1}), 0).has_value());
  driver_->Kick(kDeflateQ);
  ASSERT_TRUE(loop_.RunUntil([&] { return Completed(kDeflateQ) == 1; }));
  EXPECT_LT(Metric("discards"), pages.size()) << "others are served in between";
  EXPECT_TRUE(loop_.RunUntil([&] { return Metric("inflate_count") == 1; }));
  EXPECT_EQ(Completed(kInflateQ), 1);
  EXPECT_EQ(Metric("discards"), pages.size());
  EXPECT_EQ(Metric("inflate_freed"), pages.size() * kPageSize);
}

TEST_F(BalloonTest, APauseInTheMiddleOfALongArrayLosesNothing) {
  Create(kAll, {.size_bytes = 64 * kMib});
  Start();
  Fill(2 * kMib, 40 * kMib);
  std::vector<uint32_t> pages(40 * kMib / kPageSize);
  std::iota(pages.begin(), pages.end(), 2 * kMib / kPageSize);
  const GuestAddress array(48 * kMib);
  const std::string bytes = Bytes(pages);
  ASSERT_TRUE(memory_->Write("pages", array, bytes).ok());
  ASSERT_TRUE(driver_->queue(kInflateQ)
                  .Add({{array, static_cast<uint32_t>(bytes.size()), false}})
                  .has_value());
  driver_->Kick(kInflateQ);
  ASSERT_TRUE(loop_.RunUntil([&] { return Metric("inflate_pages") > 0; }));
  ASSERT_LT(Metric("inflate_pages"), pages.size());
  transport_->Pause();
  const DeviceState state = transport_->Save();
  EXPECT_EQ(Completed(kInflateQ), 0);
  ASSERT_TRUE(MoveTo(kAll, state).ok());
  transport_->Resume();
  ASSERT_TRUE(loop_.RunUntil([&] { return Metric("inflate_count") == 1; }));
  EXPECT_EQ(Completed(kInflateQ), 1);
  EXPECT_EQ(ResidentPages(2 * kMib, 40 * kMib), 0u);
}

TEST_F(BalloonTest, TheTargetReachesTheGuest) {
  Create({.target_pages = 256});
  EXPECT_EQ(Config(kConfigNumPages), 256u);
  Start();
  EXPECT_EQ(driver_->TakeInterrupt(), 0u);
  ASSERT_TRUE(device().SetTarget(3).ok());
  EXPECT_EQ(driver_->TakeInterrupt(), 2u);
  EXPECT_EQ(Config(kConfigNumPages), 3 * 256u);
  ASSERT_TRUE(device().SetTarget(16).ok()) << "all of memory";
  EXPECT_EQ(device().SetTarget(17).message(),
            "amount_mib: got 17, must be at most the machine's mem_size_mib of 16");
  EXPECT_EQ(device().target_pages(), 16 * 256u);
  // The driver writes what it holds; the rest is not its own.
  driver_->Write(kConfig + kConfigActual, 77);
  driver_->Write(kConfig + kConfigNumPages, 1);
  driver_->Write(kConfig + kConfigHintCommand, 9);
  EXPECT_EQ(Config(kConfigActual), 77u);
  EXPECT_EQ(device().target_pages(), 16 * 256u);
  EXPECT_EQ(Config(kConfigHintCommand), 0u);
  // A new driver begins with an empty balloon, but with the same target.
  Start();
  EXPECT_EQ(Config(kConfigActual), 0u);
  EXPECT_EQ(Config(kConfigNumPages), 16 * 256u);
}

TEST_F(BalloonTest, QueuesOfFeaturesThatAreNotNegotiatedHaveNoNumber) {
  Create(kAll);
  Start(kFeatureVersion1 | kFeaturePageReporting);
  constexpr uint16_t kReport = 2;  // behind inflate and deflate
  Fill(4 * kMib, kMib);
  AddPages(kReport, GuestAddress(4 * kMib), kMib);
  EXPECT_EQ(Completed(kReport), 1);
  EXPECT_EQ(Metric("free_page_report_freed"), kMib);
  // What was set up beyond is nobody's.
  Add(3, "abcd");
  Add(4, "abcd");
  EXPECT_EQ(Completed(3) + Completed(4), 0);
  Start(kFeatureVersion1);
  Add(2, "abcd");
  EXPECT_EQ(Completed(2), 0);
}

TEST_F(BalloonTest, QueuesMayBeMissing) {
  Create(kAll);
  ASSERT_TRUE(driver_->Negotiate());
  ASSERT_TRUE(driver_->SetDriverOk());
  loop_.Settle();
  EXPECT_TRUE(device().SetStatsPollingInterval(5).ok());
  EXPECT_TRUE(device().StartHinting(true).ok());
  for (uint32_t queue = 0; queue < 6; ++queue) driver_->Write(kQueueNotify, queue);
  loop_.Settle();
  transport_->Pause();
  transport_->Resume();
}

TEST_F(BalloonTest, ABadRingIsTheGuestsFault) {
  Create(kAll);
  Start();
  Add(kStatsQ, Statistic(4, 5));
  driver_->queue(kInflateQ).WriteAvailableIndex(100);
  driver_->Write(kQueueNotify, kInflateQ);
  loop_.Settle();
  EXPECT_NE(driver_->status() & kDeviceNeedsReset, 0u);
  // The API goes on, and a new driver starts clean.
  EXPECT_TRUE(device().SetTarget(1).ok());
  EXPECT_TRUE(device().SetStatsPollingInterval(9).ok());
  Start();
  EXPECT_EQ(driver_->status() & kDeviceNeedsReset, 0u);
  Add(kInflateQ, Bytes({512}));
  EXPECT_EQ(Completed(kInflateQ), 1);
}

TEST_F(BalloonTest, MemfdPagesGoBackToo) {
  Create(kAll, {.backing = GuestMemory::Backing::kMemfd, .track_dirty = true});
  Start();
  Fill(4 * kMib, 4 * kMib);
  memory_->dirty_bitmap()->TakeAndClear();
  std::vector<uint32_t> pages(256);
  std::iota(pages.begin(), pages.end(), 4 * kMib / kPageSize);
  Add(kInflateQ, Bytes(pages));
  AddPages(kReportQ, GuestAddress(6 * kMib), kMib);
  EXPECT_EQ(ResidentPages(4 * kMib, 4 * kMib), 2 * 256u);
  EXPECT_TRUE(IsFull(4 * kMib, kMib, 0));
  EXPECT_TRUE(memory_->dirty_bitmap()->IsDirty(4 * 256)) << "it reads otherwise than before";
  EXPECT_FALSE(memory_->dirty_bitmap()->IsDirty(5 * 256));
  EXPECT_TRUE(memory_->dirty_bitmap()->IsDirty(6 * 256));
}

// On 2 MiB pages of the host.
class HugeBalloonTest : public BalloonTest {
 protected:
  void CreateHuge() {
    const GuestMemory::Options options{.size_bytes = 8 * kMib,
                                       .pages = GuestMemory::Pages::kHugetlb2M};
    if (const auto probe = GuestMemory::Create(options); !probe.ok())
      GTEST_SKIP() << "skipped, because the host has no four free 2 MiB pages: " << probe.status();
    Create(kAll, options);
  }
  static std::vector<uint32_t> Pages(uint32_t first, uint32_t count) {
    std::vector<uint32_t> pages(count);
    std::iota(pages.begin(), pages.end(), first);
    return pages;
  }
};

TEST_F(HugeBalloonTest, APageGoesBackWhenAllOfItIsInTheBalloon) {
  CreateHuge();
  if (IsSkipped()) return;
  Start();
  Fill(4 * kMib, 4 * kMib);
  Add(kInflateQ, Bytes(Pages(1024, 256)));
  EXPECT_EQ(Metric("inflate_freed"), 0u);
  EXPECT_TRUE(IsFull(4 * kMib, kMib, 0)) << "cleared, though not given back yet";
  EXPECT_TRUE(IsFull(5 * kMib, kMib, 0xaa));
  Add(kInflateQ, Bytes(Pages(1280, 255)));
  EXPECT_EQ(ResidentPages(4 * kMib, 2 * kMib), 512u);
  // A snapshot does not forget.
  transport_->Pause();
  const DeviceState state = transport_->Save();
  ASSERT_TRUE(MoveTo(kAll, state).ok());
  transport_->Resume();
  loop_.Settle();
  Add(kInflateQ, Bytes(Pages(1535, 1)));
  EXPECT_EQ(Metric("inflate_freed"), 2 * kMib);
  EXPECT_EQ(ResidentPages(4 * kMib, 2 * kMib), 0u);
  EXPECT_TRUE(IsFull(6 * kMib, 2 * kMib, 0xaa));
  // One page leaves the balloon and is used; the rest of the large one stays in it.
  Add(kDeflateQ, Bytes({1100}));
  Fill(1100 * kPageSize, kPageSize);
  Add(kInflateQ, Bytes(Pages(1536, 100)));
  EXPECT_TRUE(IsFull(1100 * kPageSize, kPageSize, 0xaa));
  Add(kInflateQ, Bytes({1100}));
  EXPECT_EQ(Metric("inflate_freed"), 4 * kMib);
}

TEST_F(HugeBalloonTest, ADriverThatDoesNotTellGetsNoSurprises) {
  CreateHuge();
  if (IsSkipped()) return;
  Start(~kFeatureMustTellHost);
  Fill(4 * kMib, 2 * kMib);
  Add(kInflateQ, Bytes(Pages(1024, 256)));
  // It may take pages back before it says so.
  Fill(4 * kMib, kPageSize);
  Add(kInflateQ, Bytes(Pages(1280, 256)));
  EXPECT_TRUE(IsFull(4 * kMib, kPageSize, 0xaa));
  EXPECT_EQ(Metric("inflate_freed"), 0u);
  // Whole ones in one request are safe.
  Add(kInflateQ, Bytes(Pages(1024, 512)));
  EXPECT_EQ(Metric("inflate_freed"), 2 * kMib);
}

TEST_F(HugeBalloonTest, ReportedPagesAreWholeOnes) {
  CreateHuge();
  if (IsSkipped()) return;
  Start();
  Fill(2 * kMib, 6 * kMib);
  AddPages(kReportQ, GuestAddress(4 * kMib), 2 * kMib);
  EXPECT_EQ(Metric("free_page_report_freed"), 2 * kMib);
  EXPECT_EQ(ResidentPages(2 * kMib, 6 * kMib), 1024u);
}

// The whole with the device on a thread of its own, for the sanitizers.
TEST(BalloonThread, ServesTheApiWhileTheGuestWorks) {
  TestLoop loop(TestLoop::Mode::kThread);
  auto memory = *GuestMemory::Create({.size_bytes = 16 * kMib});
  const DeviceContext context = loop.Context(memory.get());
  auto transport =
      *MmioTransport::Create("balloon", std::make_unique<BalloonDevice>(context, kAll), context);
  const DeviceHandle handle(&transport->device(), loop.loop());
  TransportDriver driver(transport.get(), memory.get(), GuestAddress(0x10000));
  ASSERT_TRUE(driver.Start());
  int completed = 0;
  for (uint32_t round = 0; round < 50; ++round) {
    ASSERT_TRUE(driver.Add(kInflateQ, Bytes({512 + round, 600 + round, 700}), 0).has_value());
    driver.Kick(kInflateQ);
    ASSERT_TRUE(driver.Add(kStatsQ, Statistic(4, round), 0).has_value());
    driver.Kick(kStatsQ);
    ASSERT_TRUE(handle
                    .Run([&](Device& device) {
                      auto& balloon = static_cast<BalloonDevice&>(device);
                      EXPECT_TRUE(balloon.SetTarget(round % 16).ok());
                      EXPECT_TRUE(balloon.SetStatsPollingInterval(1000 + round).ok());
                      return balloon.Statistics().status();
                    })
                    .ok());
    handle.get()->VisitMetrics([](absl::string_view, uint64_t) {});
    if (round % 10 == 0) {
      transport->Pause();
      transport->Resume();
    }
    ASSERT_TRUE(loop.RunUntil([&] {
      while (driver.queue(kInflateQ).TakeUsed()) ++completed;
      while (driver.queue(kStatsQ).TakeUsed()) {
      }
      return completed == static_cast<int>(round) + 1;
    }));
  }
  transport->Shutdown();
}

}  // namespace
}  // namespace hearth::virtio::balloon
