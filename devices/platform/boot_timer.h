// SPDX-License-Identifier: Apache-2.0
// BootTimer: the guest writes the byte 123 when it has booted, and the time that took is logged and
// reported.
//
// On the MMIO bus at kMmioBase, where guests made for Firecracker look for it, and on the PIO bus
// at kPort, which a guest reaches before it has any mapping. One object may be on both. The log
// line is Firecracker's, so its tools read it:
//   Guest-boot-time =  12345 us 12 ms,   8000 CPU us 8 CPU ms
// Only the first signal counts; a guest can write it again only to itself.
//
// Threads: any vCPU thread. The first signal formats a log line, which allocates: once in the life
// of a machine.
#ifndef HEARTH_DEVICES_PLATFORM_BOOT_TIMER_H_
#define HEARTH_DEVICES_PLATFORM_BOOT_TIMER_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/bus/bus.h"

namespace hearth {

class BootTimer final : public BusDevice {
 public:
  static constexpr uint64_t kMmioBase = 0xd000'0000;
  static constexpr uint64_t kMmioSize = 0x1000;
  static constexpr uint64_t kPort = 0x3f0;
  static constexpr uint64_t kPortCount = 1;
  static constexpr uint8_t kBooted = 123;

  struct Times {
    uint64_t wall_us = 0;  // CLOCK_MONOTONIC
    uint64_t cpu_us = 0;   // CLOCK_PROCESS_CPUTIME_ID
  };
  // For `start`: as early as main() can.
  static Times Now();

  // `on_boot`, which may be null, gets the times since `start`, once, on a vCPU thread; it must not
  // block.
  BootTimer(const Times& start, absl::AnyInvocable<void(const Times&) const> on_boot);

  absl::string_view name() const override { return "boot-timer"; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

 private:
  const Times start_;
  const absl::AnyInvocable<void(const Times&) const> on_boot_;
  std::atomic<bool> signalled_{false};
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_BOOT_TIMER_H_
