// SPDX-License-Identifier: Apache-2.0
// PlatformDevices: the devices that every microVM has: serial port, i8042, ACPI power-off register
// and boot timer.
//
// Main thread; the devices themselves say which of their methods vCPUs call. The events are called
// on vCPU threads.
#ifndef HEARTH_RUNTIME_VMM_PLATFORM_DEVICES_H_
#define HEARTH_RUNTIME_VMM_PLATFORM_DEVICES_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/rate_limiter.h"
#include "devices/bus/bus.h"
#include "devices/platform/acpi_power.h"
#include "devices/platform/boot_timer.h"
#include "devices/platform/console_input.h"
#include "devices/platform/console_output.h"
#include "devices/platform/i8042.h"
#include "devices/platform/serial_16550.h"
#include "runtime/hypervisor/vm_fd.h"

namespace hearth {

class PlatformDevices {
 public:
  struct Options {
    std::string serial_out_path;  // "": standard output
    base::TokenBucket::Options serial_rate_limit;
    bool boot_timer = false;
    BootTimer::Times process_start;
  };
  // The guest asked the machine to end: by the i8042's reset line, or by ACPI S5.
  struct Events {
    absl::AnyInvocable<void() const> on_reset;
    absl::AnyInvocable<void() const> on_power_off;
  };

  static absl::StatusOr<std::unique_ptr<PlatformDevices>> Create(const Options& options,
                                                                 base::EventLoop* loop,
                                                                 Events events);

  absl::Status AddTo(Bus::Builder& pio, Bus::Builder& mmio);
  // Binds the interrupts to their GSIs.
  absl::Status Connect(VmFd& vm);

  I8042& i8042() { return *i8042_; }
  // Writes out what the console still holds.
  void Flush() { console_output_->Flush(); }

 private:
  PlatformDevices() = default;

  std::unique_ptr<ConsoleOutput> console_output_;
  std::unique_ptr<Serial16550> serial_;
  std::unique_ptr<ConsoleInput> console_input_;  // reads for serial_
  std::unique_ptr<I8042> i8042_;
  std::unique_ptr<AcpiPower> acpi_power_;
  std::unique_ptr<BootTimer> boot_timer_;  // nullptr unless asked for
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_PLATFORM_DEVICES_H_
