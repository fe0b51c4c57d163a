// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/platform_devices.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "base/files.h"
#include "base/status_macros.h"

namespace hearth {

absl::StatusOr<std::unique_ptr<PlatformDevices>> PlatformDevices::Create(const Options& options,
                                                                         base::EventLoop* loop,
                                                                         Events events) {
  std::unique_ptr<PlatformDevices> devices(new PlatformDevices);

  base::UniqueFd serial_out;
  if (!options.serial_out_path.empty()) {
    // Non-blocking: a FIFO without a reader is refused here instead of hanging the start.
    HEARTH_ASSIGN_OR_RETURN(
        serial_out,
        base::Open(options.serial_out_path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0640),
        "serial: serial_out_path must be a writable file, or a FIFO that has a reader");
  }
  const int out = serial_out.valid() ? serial_out.get() : STDOUT_FILENO;
  HEARTH_ASSIGN_OR_RETURN(devices->console_output_, ConsoleOutput::Create(out, loop),
                          "serial output");
  HEARTH_ASSIGN_OR_RETURN(devices->console_input_, ConsoleInput::Create(STDIN_FILENO, loop),
                          "serial input");
  HEARTH_ASSIGN_OR_RETURN(IrqLine serial_irq, IrqLine::Create(), "serial");
  devices->serial_ = std::make_unique<Serial16550>(
      std::move(serial_irq),
      Serial16550::Options{
          .output = devices->console_output_.get(),
          .rate_limit = options.serial_rate_limit,
          .on_input_space = [input = devices->console_input_.get()] { input->NotifySpace(); }});
  HEARTH_RETURN_IF_ERROR(devices->console_input_->Start(devices->serial_.get()), "serial input");

  HEARTH_ASSIGN_OR_RETURN(IrqLine keyboard_irq, IrqLine::Create(), "i8042");
  devices->i8042_ = std::make_unique<I8042>(std::move(keyboard_irq), std::move(events.on_reset));
  devices->acpi_power_ = std::make_unique<AcpiPower>(std::move(events.on_power_off));
  if (options.boot_timer) {
    devices->boot_timer_ = std::make_unique<BootTimer>(options.process_start, nullptr);
  }
  return devices;
}

absl::Status PlatformDevices::AddTo(Bus::Builder& pio, Bus::Builder& mmio) {
  HEARTH_RETURN_IF_ERROR(pio.Add(Serial16550::kPort, Serial16550::kPortCount, serial_.get()));
  HEARTH_RETURN_IF_ERROR(pio.Add(I8042::kPort, I8042::kPortCount, i8042_.get()));
  HEARTH_RETURN_IF_ERROR(pio.Add(AcpiPower::kPort, AcpiPower::kPortCount, acpi_power_.get()));
  if (boot_timer_ == nullptr) return absl::OkStatus();
  HEARTH_RETURN_IF_ERROR(pio.Add(BootTimer::kPort, BootTimer::kPortCount, boot_timer_.get()));
  return mmio.Add(BootTimer::kMmioBase, BootTimer::kMmioSize, boot_timer_.get());
}

absl::Status PlatformDevices::Connect(VmFd& vm) {
  HEARTH_RETURN_IF_ERROR(vm.AddIrqfd(serial_->irq().fd(), Serial16550::kGsi), "serial");
  return base::Annotate(vm.AddIrqfd(i8042_->irq().fd(), I8042::kGsi), "i8042");
}

}  // namespace hearth
