// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/boot_timer.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/log.h"

namespace hearth {
namespace {

uint64_t ClockUs(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

BootTimer::Times BootTimer::Now() {
  return {.wall_us = ClockUs(CLOCK_MONOTONIC), .cpu_us = ClockUs(CLOCK_PROCESS_CPUTIME_ID)};
}

BootTimer::BootTimer(const Times& start, absl::AnyInvocable<void(const Times&) const> on_boot)
    : start_(start), on_boot_(std::move(on_boot)) {}

void BootTimer::Read(uint64_t /*offset*/, absl::Span<uint8_t> data) {
  std::fill(data.begin(), data.end(), uint8_t{0});
}

void BootTimer::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (offset != 0 || data.size() != 1 || data[0] != kBooted) return;
  const Times now = Now();
  if (signalled_.exchange(true, std::memory_order_relaxed)) return;
  const Times taken = {.wall_us = now.wall_us - start_.wall_us,
                       .cpu_us = now.cpu_us - start_.cpu_us};
  HEARTH_LOG(kInfo,
             absl::StrFormat("Guest-boot-time = %6d us %d ms, %6d CPU us %d CPU ms", taken.wall_us,
                             taken.wall_us / 1000, taken.cpu_us, taken.cpu_us / 1000));
  if (on_boot_) on_boot_(taken);
}

}  // namespace hearth
