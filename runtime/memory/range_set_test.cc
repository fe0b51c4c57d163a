// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory/range_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bitset>
#include <random>

namespace hearth {
namespace {

using Range = RangeSet::Range;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(RangeSet, RangesThatTouchBecomeOne) {
  RangeSet set;
  set.Add({10, 20});
  set.Add({30, 40});
  set.Add({5, 5});
  EXPECT_THAT(set.ranges(), ElementsAre(Range{10, 20}, Range{30, 40}));
  set.Add({20, 30});
  EXPECT_THAT(set.ranges(), ElementsAre(Range{10, 40}));
  set.Add({0, 50});
  EXPECT_THAT(set.ranges(), ElementsAre(Range{0, 50}));
}

TEST(RangeSet, RemovesHeadsTailsAndMiddles) {
  RangeSet set;
  set.Add({10, 20});
  set.Add({30, 40});
  set.Remove({0, 10});
  set.Remove({20, 30});
  set.Remove({15, 15});
  EXPECT_THAT(set.ranges(), ElementsAre(Range{10, 20}, Range{30, 40}));
  set.Remove({18, 32});
  EXPECT_THAT(set.ranges(), ElementsAre(Range{10, 18}, Range{32, 40}));
  EXPECT_TRUE(set.Splits({12, 14}));
  EXPECT_FALSE(set.Splits({10, 14}));
  EXPECT_FALSE(set.Splits({12, 18}));
  set.Remove({12, 14});
  EXPECT_THAT(set.ranges(), ElementsAre(Range{10, 12}, Range{14, 18}, Range{32, 40}));
  EXPECT_EQ(set.FirstOverlap({0, 100}), (Range{10, 12}));
  EXPECT_EQ(set.FirstOverlap({12, 100}), (Range{14, 18}));
  EXPECT_EQ(set.FirstOverlap({33, 34}), (Range{33, 34}));
  EXPECT_EQ(set.FirstOverlap({18, 32}), std::nullopt);
  EXPECT_EQ(set.FirstOverlap({40, 41}), std::nullopt);
  set.Remove({0, 100});
  EXPECT_THAT(set.ranges(), IsEmpty());
}

TEST(RangeSet, DoesWhatABitmapDoes) {
  constexpr size_t kSize = 256;
  std::mt19937 random(1);
  RangeSet set;
  std::bitset<kSize> bits;
  for (int step = 0; step < 5000; ++step) {
    const uint64_t begin = random() % kSize;
    const uint64_t end = std::min<uint64_t>(kSize, begin + random() % 20);
    const bool add = random() % 2 == 0;
    for (uint64_t i = begin; i < end; ++i) bits[i] = add;
    add ? set.Add({begin, end}) : set.Remove({begin, end});
    std::bitset<kSize> seen;
    uint64_t behind = 0;
    for (const Range& range : set.ranges()) {
      ASSERT_LT(range.begin, range.end);
      ASSERT_TRUE(range.begin > behind || behind == 0) << "ranges that touch are one";
      for (uint64_t i = range.begin; i < range.end; ++i) seen[i] = true;
      behind = range.end;
    }
    ASSERT_EQ(seen, bits) << "step " << step;
  }
}

}  // namespace
}  // namespace hearth
