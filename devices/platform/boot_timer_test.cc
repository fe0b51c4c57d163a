// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/boot_timer.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(BootTimerTest, TheFirstSignalCounts) {
  int calls = 0;
  BootTimer::Times taken;
  BootTimer::Times start = BootTimer::Now();
  start.wall_us -= 5000;
  BootTimer timer(start, [&](const BootTimer::Times& times) {
    ++calls;
    taken = times;
  });
  const uint8_t other = 122, booted = BootTimer::kBooted;
  timer.Write(0, absl::MakeSpan(&other, 1));
  timer.Write(1, absl::MakeSpan(&booted, 1));
  const uint8_t wide[4] = {booted, 0, 0, 0};
  timer.Write(0, wide);
  EXPECT_EQ(calls, 0);
  timer.Write(0, absl::MakeSpan(&booted, 1));
  timer.Write(0, absl::MakeSpan(&booted, 1));
  EXPECT_EQ(calls, 1);
  EXPECT_GE(taken.wall_us, 5000u);
  EXPECT_LT(taken.wall_us, 60'000'000u);
}

TEST(BootTimerTest, ReadsAsZeroAndNeedsNoListener) {
  BootTimer timer(BootTimer::Now(), nullptr);
  uint8_t data[8] = {0xff};
  timer.Read(0, absl::MakeSpan(data));
  EXPECT_EQ(data[0], 0);
  const uint8_t booted = BootTimer::kBooted;
  timer.Write(0, absl::MakeSpan(&booted, 1));
}

}  // namespace
}  // namespace hearth
