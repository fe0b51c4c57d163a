// SPDX-License-Identifier: Apache-2.0
// Statistics, and what a snapshot keeps.
#include <gmock/gmock.h>

#include "devices/virtio/balloon/balloon_state.pb.h"
#include "devices/virtio/balloon/balloon_test_base.h"

namespace hearth::virtio::balloon {
namespace {

using testing::HasSubstr;

TEST_F(BalloonTest, TheGuestHearsOfAChangeDuringAPause) {
  Create(kAll);
  Start();
  transport_->Pause();
  ASSERT_TRUE(device().SetTarget(3).ok());
  EXPECT_EQ(driver_->TakeInterrupt(), 0u);
  const DeviceState state = transport_->Save();
  ASSERT_TRUE(MoveTo(kAll, state).ok());
  transport_->Resume();
  loop_.Settle();
  EXPECT_EQ(driver_->TakeInterrupt() & 2u, 2u);
  EXPECT_EQ(Config(kConfigNumPages), 3 * 256u);
  transport_->Pause();
  transport_->Resume();
  loop_.Settle();
  EXPECT_EQ(driver_->TakeInterrupt(), 0u) << "told once";
}

TEST_F(BalloonTest, StatisticsAreReadAndTheirBufferKept) {
  Create(kAll);
  Start();
  std::string buffer;
  for (uint16_t tag = 0; tag < 16; ++tag) buffer += Statistic(tag, 1000 + tag);
  Add(kStatsQ, buffer + Statistic(16, 7) + Statistic(0xffff, 7) + Statistic(4, 1 << 20));
  EXPECT_EQ(Completed(kStatsQ), 0) << "kept until the next refresh";
  driver_->Write(kConfig + kConfigActual, 600);
  ASSERT_TRUE(device().SetTarget(3).ok());
  const auto statistics = device().Statistics();
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->target_pages(), 768u);
  EXPECT_EQ(statistics->target_mib(), 3u);
  EXPECT_EQ(statistics->actual_pages(), 600u);
  EXPECT_EQ(statistics->actual_mib(), 2u);
  EXPECT_EQ(statistics->swap_in(), 1000u);
  EXPECT_EQ(statistics->swap_out(), 1001u);
  EXPECT_EQ(statistics->major_faults(), 1002u);
  EXPECT_EQ(statistics->minor_faults(), 1003u);
  EXPECT_EQ(statistics->free_memory(), 1u << 20) << "the last one holds";
  EXPECT_EQ(statistics->total_memory(), 1005u);
  EXPECT_EQ(statistics->available_memory(), 1006u);
  EXPECT_EQ(statistics->disk_caches(), 1007u);
  EXPECT_EQ(statistics->hugetlb_allocations(), 1008u);
  EXPECT_EQ(statistics->hugetlb_failures(), 1009u);
  EXPECT_EQ(statistics->oom_kill(), 1010u);
  EXPECT_EQ(statistics->alloc_stall(), 1011u);
  EXPECT_EQ(statistics->async_scan(), 1012u);
  EXPECT_EQ(statistics->direct_scan(), 1013u);
  EXPECT_EQ(statistics->async_reclaim(), 1014u);
  EXPECT_EQ(statistics->direct_reclaim(), 1015u);
  EXPECT_EQ(Metric("stats_updates_count"), 1u);
  EXPECT_EQ(Metric("stats_update_fails"), 0u);
}

TEST_F(BalloonTest, StatisticsThatTheGuestNeverSentAreMissing) {
  Create(kAll);
  Start();
  EXPECT_FALSE(device().Statistics()->has_free_memory());
  Add(kStatsQ, Statistic(4, 5));
  EXPECT_EQ(device().Statistics()->free_memory(), 5u);
  EXPECT_FALSE(device().Statistics()->has_swap_in());
  // Another driver has sent nothing yet.
  Start();
  EXPECT_FALSE(device().Statistics()->has_free_memory());
}

TEST_F(BalloonTest, OddStatisticsAreSurvived) {
  Create(kAll);
  Start();
  Add(kStatsQ, Statistic(4, 5) + "odd");
  EXPECT_EQ(Completed(kStatsQ), 0);
  EXPECT_EQ(device().Statistics()->free_memory(), 5u);
  EXPECT_EQ(Metric("stats_update_fails"), 1u);
  std::string many;
  for (int i = 0; i < 300; ++i) many += Statistic(4, static_cast<uint64_t>(i));
  Add(kStatsQ, many);
  EXPECT_EQ(device().Statistics()->free_memory(), 255u);
  EXPECT_EQ(Metric("stats_update_fails"), 2u);
  EXPECT_EQ(Completed(kStatsQ), 1) << "of two buffers the newest is kept";
  Add(kStatsQ, "", 100);
  EXPECT_EQ(Completed(kStatsQ), 1);
}

TEST_F(BalloonTest, AnIntervalRefreshesStatistics) {
  Create({.stats_polling_interval_s = 1});
  Start();
  const auto start = std::chrono::steady_clock::now();
  Add(2, Statistic(4, 5));
  ASSERT_TRUE(loop_.RunUntil([&] { return Completed(2) == 1; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(900));
  EXPECT_EQ(driver_->TakeInterrupt(), 1u);
}

TEST_F(BalloonTest, ANewIntervalRefreshesStatisticsAtOnce) {
  Create(kAll);
  Start();
  Add(kStatsQ, Statistic(4, 5));
  ASSERT_TRUE(device().SetStatsPollingInterval(3600).ok());
  EXPECT_EQ(Completed(kStatsQ), 0) << "it is the old one";
  ASSERT_TRUE(device().SetStatsPollingInterval(1800).ok());
  EXPECT_EQ(Completed(kStatsQ), 1);
  EXPECT_EQ(driver_->TakeInterrupt(), 1u);
  Add(kStatsQ, Statistic(4, 6));
  EXPECT_EQ(Completed(kStatsQ), 0);
  EXPECT_EQ(device().Statistics()->free_memory(), 6u);
  EXPECT_THAT(device().SetStatsPollingInterval(0).message(),
              HasSubstr("cannot be turned on or off after boot"));
  EXPECT_EQ(device().stats_polling_interval_s(), 1800u);
}

TEST_F(BalloonTest, WithoutStatisticsThereAreNone) {
  Create({});
  Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(device().Statistics().status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(device().SetStatsPollingInterval(1)));
  EXPECT_TRUE(device().SetStatsPollingInterval(0).ok());
}

TEST_F(BalloonTest, AKeptBufferOutlivesPausesAndIsGivenBackOnce) {
  Create(kAll);
  Start();
  Add(kStatsQ, Statistic(4, 5));
  for (int i = 0; i < 3; ++i) {
    transport_->Pause();
    transport_->Resume();
    loop_.Settle();
  }
  transport_->Pause();
  const DeviceState state = transport_->Save();
  ASSERT_TRUE(MoveTo(kAll, state).ok());
  EXPECT_EQ(device().Statistics()->free_memory(), 5u);
  transport_->Resume();
  loop_.Settle();
  EXPECT_EQ(Completed(kStatsQ), 0);
  EXPECT_EQ(Metric("stats_updates_count"), 0u) << "the driver sent nothing new";
  ASSERT_TRUE(device().SetStatsPollingInterval(7).ok());
  EXPECT_EQ(Completed(kStatsQ), 1);
  Add(kStatsQ, Statistic(4, 6));
  EXPECT_EQ(Metric("stats_updates_count"), 1u);
  EXPECT_EQ(device().Statistics()->free_memory(), 6u);
}

TEST_F(BalloonTest, HostileStateIsRefused) {
  Create(kAll);
  Start();
  transport_->Pause();
  const DeviceState good = transport_->Save();
  const auto refuses = [&](auto change) {
    DeviceState bad = good;
    BalloonState state;
    EXPECT_TRUE(state.ParseFromString(bad.device()));
    change(&bad, &state);
    if (bad.device() == good.device()) bad.set_device(state.SerializeAsString());
    return std::string(MoveTo(kAll, bad).message());
  };
  EXPECT_THAT(refuses([](DeviceState* bad, BalloonState*) { bad->set_device("\xff"); }),
              HasSubstr("not a BalloonState"));
  EXPECT_THAT(
      refuses([](DeviceState*, BalloonState* state) { state->set_stats_polling_interval_s(0); }),
      HasSubstr("stats_polling_interval_s: got 0, must be from 1 to 65535"));
  EXPECT_THAT(refuses([](DeviceState*, BalloonState* state) {
                state->set_stats_polling_interval_s(65536);
              }),
              HasSubstr("stats_polling_interval_s: got 65536"));
  EXPECT_THAT(
      refuses([](DeviceState*, BalloonState* state) { state->set_last_hinting_command(1); }),
      HasSubstr("last_hinting_command: got 1"));
  EXPECT_THAT(refuses([](DeviceState*, BalloonState* state) { state->set_ballooned_pages("x"); }),
              HasSubstr("ballooned_pages: got 1 bytes"));
  EXPECT_THAT(refuses([](DeviceState* bad, BalloonState*) {
                (*bad->mutable_config_space())[2] = 1;  // 65536 pages, of 4096
              }),
              HasSubstr("amount_mib: got 256, must be at most"));
  EXPECT_THAT(refuses([](DeviceState* bad, BalloonState*) {
                (*bad->mutable_config_space())[kConfigHintCommand] = 5;
              }),
              HasSubstr("last_hinting_command: got 0"));
  EXPECT_TRUE(MoveTo(kAll, good).ok());
}

}  // namespace
}  // namespace hearth::virtio::balloon
