// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/acpi_power.h"

#include <algorithm>
#include <utility>

namespace hearth {
namespace {
constexpr uint64_t kSleepControl = 0;
constexpr uint8_t kSleepEnable = 0x20;
constexpr uint8_t kSleepTypeMask = 0x1c;
}  // namespace

AcpiPower::AcpiPower(absl::AnyInvocable<void() const> on_poweroff)
    : on_poweroff_(std::move(on_poweroff)) {}

void AcpiPower::Read(uint64_t /*offset*/, absl::Span<uint8_t> data) {
  std::fill(data.begin(), data.end(), uint8_t{0});
}

void AcpiPower::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  // A wider access covers both registers; the status register, the second byte, takes nothing.
  if (offset != kSleepControl || data.empty() || (data[0] & kSleepEnable) == 0) return;
  if ((data[0] & (kSleepEnable | kSleepTypeMask)) != kPowerOff) {
    metrics_.missed_writes.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  metrics_.power_offs.fetch_add(1, std::memory_order_relaxed);
  if (on_poweroff_) on_poweroff_();
}

}  // namespace hearth
