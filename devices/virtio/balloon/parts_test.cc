// SPDX-License-Identifier: Apache-2.0
// The parts of the balloon that need no device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bitset>
#include <numeric>
#include <random>
#include <vector>

#include "devices/virtio/balloon/hinting.h"
#include "devices/virtio/balloon/page_runs.h"
#include "devices/virtio/balloon/page_set.h"

namespace hearth::virtio::balloon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<PageRun> Runs(std::vector<uint32_t> pages) {
  std::vector<PageRun> runs;
  ForEachRun(absl::MakeSpan(pages), [&](PageRun run) { runs.push_back(run); });
  return runs;
}

TEST(PageRuns, NeighboursBecomeOneInAnyOrder) {
  EXPECT_THAT(Runs({}), IsEmpty());
  EXPECT_THAT(Runs({7}), ElementsAre(PageRun{7, 1}));
  EXPECT_THAT(Runs({9, 8, 7}), ElementsAre(PageRun{7, 3}));
  EXPECT_THAT(Runs({1, 9, 3, 2, 8}), ElementsAre(PageRun{1, 3}, PageRun{8, 2}));
  EXPECT_THAT(Runs({5, 5, 6, 5, 6}), ElementsAre(PageRun{5, 2}));
  EXPECT_THAT(Runs({0xffffffff, 0, 0xfffffffe}),
              ElementsAre(PageRun{0, 1}, PageRun{0xfffffffe, 2}));
  std::vector<uint32_t> pages(256);
  std::iota(pages.rbegin(), pages.rend(), 1000);
  EXPECT_THAT(Runs(pages), ElementsAre(PageRun{1000, 256}));
  std::shuffle(pages.begin(), pages.end(), std::mt19937(1));
  EXPECT_THAT(Runs(pages), ElementsAre(PageRun{1000, 256}));
}

TEST(PageSet, KnowsWhenAllOfARunIsThere) {
  PageSet set(1024);
  EXPECT_TRUE(set.ContainsAll({5, 0}));
  EXPECT_FALSE(set.ContainsAll({512, 512}));
  set.Add({512, 511});
  EXPECT_FALSE(set.ContainsAll({512, 512}));
  EXPECT_TRUE(set.ContainsAll({513, 510}));
  set.Add({1023, 1});
  EXPECT_TRUE(set.ContainsAll({512, 512}));
  set.Remove({700, 1});
  EXPECT_FALSE(set.ContainsAll({512, 512}));
  set.Add({700, 1});
  EXPECT_TRUE(set.ContainsAll({512, 512}));
  set.Clear();
  EXPECT_FALSE(set.ContainsAll({512, 1}));
}

TEST(PageSet, DoesWhatABitmapDoes) {
  constexpr uint64_t kPages = 300;
  PageSet set(kPages);
  std::bitset<kPages> bits;
  std::mt19937 random(1);
  for (int step = 0; step < 2000; ++step) {
    const uint64_t first = random() % kPages;
    const uint64_t count = random() % (kPages - first + 1);
    const bool add = random() % 2 == 0;
    for (uint64_t i = first; i < first + count; ++i) bits[i] = add;
    add ? set.Add({first, count}) : set.Remove({first, count});
    for (uint64_t i = 0; i < kPages; ++i) ASSERT_EQ(set.ContainsAll({i, 1}), bits[i]) << i;
    PageSet copy(kPages);
    ASSERT_TRUE(copy.Restore(set.Save()));
    ASSERT_EQ(copy.Save(), set.Save());
  }
}

TEST(PageSet, RestoresOnlyWhatFits) {
  PageSet set(100);
  EXPECT_EQ(set.Save(), "");
  set.Add({0, 1});
  EXPECT_EQ(set.Save(), "\x01");
  set.Add({99, 1});
  const std::string saved = set.Save();
  EXPECT_EQ(saved.size(), 13u);
  PageSet other(100);
  EXPECT_TRUE(other.Restore(saved));
  EXPECT_TRUE(other.ContainsAll({99, 1}));
  EXPECT_FALSE(other.ContainsAll({98, 1}));
  EXPECT_FALSE(other.Restore(std::string(12, '\0') + '\x10')) << "page 100";
  EXPECT_FALSE(other.Restore(std::string(14, '\0')));
  EXPECT_EQ(other.Save(), saved) << "as before";
  EXPECT_TRUE(other.Restore(""));
  EXPECT_EQ(other.Save(), "");
}

TEST(Hinting, HintsCountWhileBothNameTheSameRun) {
  Hinting hinting;
  EXPECT_FALSE(hinting.HintsCount());
  EXPECT_FALSE(hinting.OnGuestCommand(Hinting::kStop));
  EXPECT_FALSE(hinting.HintsCount()) << "0 is no run";
  hinting.Start(true);
  EXPECT_EQ(hinting.host_command(), 2u);
  EXPECT_FALSE(hinting.HintsCount()) << "the guest has not begun";
  EXPECT_FALSE(hinting.OnGuestCommand(2));
  EXPECT_TRUE(hinting.HintsCount());
  EXPECT_TRUE(hinting.OnGuestCommand(Hinting::kStop));
  EXPECT_FALSE(hinting.HintsCount());
  hinting.Finish();
  EXPECT_EQ(hinting.host_command(), Hinting::kDone);
  EXPECT_EQ(hinting.guest_command(), Hinting::kStop);
}

TEST(Hinting, AnOlderRunsEndDoesNotEndTheNewOne) {
  Hinting hinting;
  hinting.Start(true);
  EXPECT_FALSE(hinting.OnGuestCommand(2));
  hinting.Start(true);
  EXPECT_EQ(hinting.host_command(), 3u);
  EXPECT_FALSE(hinting.HintsCount()) << "hints of run 2 that are still in the queue";
  EXPECT_FALSE(hinting.OnGuestCommand(Hinting::kStop)) << "of run 2";
  EXPECT_EQ(hinting.host_command(), 3u);
  EXPECT_FALSE(hinting.OnGuestCommand(3));
  EXPECT_TRUE(hinting.HintsCount());
}

TEST(Hinting, NothingCountsAfterTheHostHasFinished) {
  Hinting hinting;
  hinting.Start(false);
  EXPECT_FALSE(hinting.OnGuestCommand(2));
  hinting.Finish();
  EXPECT_FALSE(hinting.HintsCount());
  EXPECT_FALSE(hinting.OnGuestCommand(Hinting::kDone));
  EXPECT_FALSE(hinting.HintsCount()) << "1 is no run";
  hinting.Start(false);
  EXPECT_FALSE(hinting.OnGuestCommand(3));
  EXPECT_FALSE(hinting.OnGuestCommand(Hinting::kStop)) << "no acknowledgement was asked for";
}

TEST(Hinting, NumbersAreNotUsedTwice) {
  Hinting hinting;
  hinting.Start(true);
  hinting.Reset();
  EXPECT_EQ(hinting.host_command(), Hinting::kStop);
  EXPECT_EQ(hinting.guest_command(), std::nullopt);
  hinting.Start(true);
  EXPECT_EQ(hinting.host_command(), 3u);
  ASSERT_TRUE(hinting.Restore(UINT32_MAX, 5, UINT32_MAX, true));
  hinting.Start(true);
  EXPECT_EQ(hinting.host_command(), 2u) << "0 and 1 are no runs";
}

TEST(Hinting, RestoresOnlyWhatCanBe) {
  Hinting hinting;
  EXPECT_TRUE(hinting.Restore(0, std::nullopt, 0, true));
  EXPECT_TRUE(hinting.Restore(1, 7, 9, false));
  EXPECT_TRUE(hinting.Restore(9, 9, 9, false));
  EXPECT_TRUE(hinting.HintsCount());
  EXPECT_FALSE(hinting.Restore(8, 8, 9, false));
  EXPECT_FALSE(hinting.Restore(2, 2, 0, false));
  EXPECT_FALSE(hinting.Restore(0, 0, 1, false));
  EXPECT_EQ(hinting.host_command(), 9u);
}

}  // namespace
}  // namespace hearth::virtio::balloon
