// SPDX-License-Identifier: Apache-2.0
// What the guest says of its free pages: reports and hints.
#include <gmock/gmock.h>

#include "devices/virtio/balloon/balloon_test_base.h"

namespace hearth::virtio::balloon {
namespace {

using testing::HasSubstr;

TEST_F(BalloonTest, ReportedPagesGoBackAtOnce) {
  Create(kAll);
  Start();
  Fill(4 * kMib, 8 * kMib);
  ASSERT_TRUE(
      driver_->queue(kReportQ)
          .Add({{GuestAddress(4 * kMib), 2 * kMib, true}, {GuestAddress(8 * kMib), kMib, true}})
          .has_value());
  driver_->Kick(kReportQ);
  loop_.Settle();
  EXPECT_EQ(Completed(kReportQ), 1);
  EXPECT_EQ(Metric("free_page_report_count"), 2u);
  EXPECT_EQ(Metric("free_page_report_freed"), 3 * kMib);
  EXPECT_EQ(ResidentPages(4 * kMib, 8 * kMib), 5 * 256u);
  EXPECT_TRUE(IsFull(4 * kMib, 2 * kMib, 0));
  EXPECT_TRUE(IsFull(6 * kMib, 2 * kMib, 0xaa));
}

TEST_F(BalloonTest, ReportedPagesKeepTheGuestsPoison) {
  Create(kAll);
  ASSERT_TRUE(driver_->Negotiate());
  driver_->Write(kConfig + kConfigPoisonValue, 0xaaaaaaaa);
  driver_->SetUpQueues(16);
  ASSERT_TRUE(driver_->SetDriverOk());
  loop_.Settle();
  Fill(4 * kMib, kMib);
  AddPages(kReportQ, GuestAddress(4 * kMib), kMib);
  EXPECT_EQ(Completed(kReportQ), 1);
  EXPECT_TRUE(IsFull(4 * kMib, kMib, 0xaa));
  EXPECT_EQ(Metric("free_page_report_freed"), 0u);
  // Not a word of the poison: the value holds nothing.
  Start(~kFeaturePagePoison);
  EXPECT_EQ(Config(kConfigPoisonValue), 0u);
  // A guest that fills with zeros loses nothing either.
  Start();
  Fill(4 * kMib, kMib);
  AddPages(kReportQ, GuestAddress(4 * kMib), kMib);
  EXPECT_TRUE(IsFull(4 * kMib, kMib, 0));
}

TEST_F(BalloonTest, HintsOfARunAreGivenBack) {
  Create(kAll);
  EXPECT_THAT(device().StartHinting(true).message(), HasSubstr("inactive"));
  Start();
  Fill(4 * kMib, 8 * kMib);
  AddPages(kHintQ, GuestAddress(4 * kMib), kMib);
  EXPECT_EQ(Metric("free_page_hint_freed"), 0u) << "no run";
  EXPECT_FALSE(device().HintingStatus()->has_guest_cmd());

  ASSERT_TRUE(device().StartHinting(true).ok());
  EXPECT_EQ(driver_->TakeInterrupt() & 2u, 2u);
  EXPECT_EQ(Config(kConfigHintCommand), 2u);
  AddPages(kHintQ, GuestAddress(4 * kMib), kMib);
  EXPECT_EQ(Metric("free_page_hint_freed"), 0u) << "of no run";
  Add(kHintQ, Bytes({2}));
  AddPages(kHintQ, GuestAddress(4 * kMib), 4 * kMib);
  EXPECT_EQ(Metric("free_page_hint_freed"), 4 * kMib);
  EXPECT_EQ(Metric("free_page_hint_count"), 1u);
  EXPECT_EQ(device().HintingStatus()->guest_cmd(), 2u);
  EXPECT_EQ(Completed(kHintQ), 4);
  driver_->TakeInterrupt();

  Add(kHintQ, Bytes({Hinting::kStop}));
  EXPECT_EQ(Completed(kHintQ), 1);
  EXPECT_EQ(driver_->TakeInterrupt() & 2u, 2u);
  EXPECT_EQ(Config(kConfigHintCommand), 1u) << "acknowledged";
  EXPECT_EQ(device().HintingStatus()->host_cmd(), 1u);
  EXPECT_EQ(device().HintingStatus()->guest_cmd(), 0u);
  AddPages(kHintQ, GuestAddress(8 * kMib), kMib);
  EXPECT_EQ(Metric("free_page_hint_freed"), 4 * kMib);
  EXPECT_TRUE(IsFull(4 * kMib, 4 * kMib, 0));
  EXPECT_TRUE(IsFull(8 * kMib, 4 * kMib, 0xaa));
}

TEST_F(BalloonTest, TheHostMayEndARunItself) {
  Create(kAll);
  Start();
  ASSERT_TRUE(device().StartHinting(false).ok());
  Add(kHintQ, Bytes({2}));
  Add(kHintQ, Bytes({Hinting::kStop}));
  EXPECT_EQ(Config(kConfigHintCommand), 2u) << "no acknowledgement was asked for";
  ASSERT_TRUE(device().StartHinting(false).ok());
  Add(kHintQ, Bytes({3}));
  ASSERT_TRUE(device().StopHinting().ok());
  EXPECT_EQ(Config(kConfigHintCommand), 1u);
  Fill(4 * kMib, kMib);
  AddPages(kHintQ, GuestAddress(4 * kMib), kMib);
  EXPECT_TRUE(IsFull(4 * kMib, kMib, 0xaa)) << "the guest may use it already";
  // Commands have 4 bytes.
  Add(kHintQ, "abcde");
  EXPECT_EQ(Metric("event_fails"), 1u);
  EXPECT_EQ(device().HintingStatus()->guest_cmd(), 3u);
}

TEST_F(BalloonTest, HintingWantsToBeConfiguredAndNegotiated) {
  Create({});
  Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(device().StartHinting(true)));
  EXPECT_TRUE(absl::IsFailedPrecondition(device().StopHinting()));
  EXPECT_TRUE(absl::IsFailedPrecondition(device().HintingStatus().status()));
  Create(kAll);
  Start(~kFeatureFreePageHint);
  EXPECT_THAT(device().StartHinting(true).message(), HasSubstr("knows no free page hinting"));
}

TEST_F(BalloonTest, AHintingRunOutlivesASnapshot) {
  Create(kAll);
  Start();
  ASSERT_TRUE(device().StartHinting(true).ok());
  Add(kHintQ, Bytes({2}));
  transport_->Pause();
  const DeviceState state = transport_->Save();
  ASSERT_TRUE(MoveTo(kAll, state).ok());
  transport_->Resume();
  loop_.Settle();
  Fill(4 * kMib, kMib);
  AddPages(kHintQ, GuestAddress(4 * kMib), kMib);
  EXPECT_TRUE(IsFull(4 * kMib, kMib, 0));
  Add(kHintQ, Bytes({Hinting::kStop}));
  EXPECT_EQ(Config(kConfigHintCommand), 1u);
  ASSERT_TRUE(device().StartHinting(true).ok());
  EXPECT_EQ(Config(kConfigHintCommand), 3u);
}

}  // namespace
}  // namespace hearth::virtio::balloon
