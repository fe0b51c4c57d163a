// SPDX-License-Identifier: Apache-2.0
// AcpiPower: the sleep control and sleep status registers of a hardware-reduced ACPI machine,
// through which the guest powers itself off (S5, soft off).
//
// ACPI specification, "Sleep Control and Status Registers". The FADT must name port kPort as
// SLEEP_CONTROL_REG and kPort + 1 as SLEEP_STATUS_REG (one byte each), and the DSDT's \_S5 package
// must carry kSleepTypeS5. There is no other sleep state, so nothing else does anything, and both
// registers read as 0 (never waking).
//
// Threads: any vCPU thread; no state.
#ifndef HEARTH_DEVICES_PLATFORM_ACPI_POWER_H_
#define HEARTH_DEVICES_PLATFORM_ACPI_POWER_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/bus/bus.h"

namespace hearth {

class AcpiPower final : public BusDevice {
 public:
  static constexpr uint64_t kPort = 0x600;
  static constexpr uint64_t kPortCount = 2;
  static constexpr uint8_t kSleepTypeS5 = 5;
  // What a guest writes to kPort to power off: SLP_EN and SLP_TYPx.
  static constexpr uint8_t kPowerOff = 0x20 | (kSleepTypeS5 << 2);

  struct Metrics {
    std::atomic<uint64_t> power_offs{0};
    std::atomic<uint64_t> missed_writes{0};  // other sleep states
  };

  // `on_poweroff` is called on a vCPU thread each time the guest asks for it; it must not block.
  explicit AcpiPower(absl::AnyInvocable<void() const> on_poweroff);

  absl::string_view name() const override { return "acpi-power"; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

  const Metrics& metrics() const { return metrics_; }

 private:
  const absl::AnyInvocable<void() const> on_poweroff_;
  Metrics metrics_;
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_ACPI_POWER_H_
