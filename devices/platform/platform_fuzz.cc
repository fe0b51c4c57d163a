// SPDX-License-Identifier: Apache-2.0
// Random guest accesses of any size and offset to all platform devices through their bus, between
// random acts of the host: nothing may crash, and an access may not touch more than its bytes (ASan
// watches).
#include <fcntl.h>

#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "devices/platform/acpi_power.h"
#include "devices/platform/boot_timer.h"
#include "devices/platform/console_output.h"
#include "devices/platform/i8042.h"
#include "devices/platform/irq_counter.h"
#include "devices/platform/serial_16550.h"

namespace {

using namespace hearth;

struct Step {
  uint8_t operation;  // low 2 bits: size; bit 2: write; bits 3-5: device or host act
  uint8_t offset;
  uint8_t value[8];
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static base::EventLoop* const loop = (*base::EventLoop::Create()).release();
  static const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  static const bool quiet = [] {
    base::SetLogOptions({.level = base::LogLevel::kOff});
    return true;
  }();
  (void)quiet;

  const auto output = *ConsoleOutput::Create(null_fd, loop);
  int space = 0;
  Serial16550 serial(MakeIrqLine(), {.output = output.get(),
                                     .rate_limit = {.size = 64, .refill_time_ms = 1},
                                     .on_input_space = [&space] { ++space; }});
  int resets = 0, power_offs = 0, boots = 0;
  I8042 i8042(MakeIrqLine(), [&resets] { ++resets; });
  AcpiPower power([&power_offs] { ++power_offs; });
  BootTimer timer(BootTimer::Now(), [&boots](const BootTimer::Times&) { ++boots; });

  Bus::Builder builder;
  HEARTH_CHECK(builder.Add(Serial16550::kPort, Serial16550::kPortCount, &serial).ok());
  HEARTH_CHECK(builder.Add(I8042::kPort, I8042::kPortCount, &i8042).ok());
  HEARTH_CHECK(builder.Add(AcpiPower::kPort, AcpiPower::kPortCount, &power).ok());
  HEARTH_CHECK(builder.Add(BootTimer::kPort, BootTimer::kPortCount, &timer).ok());
  HEARTH_CHECK(builder.Add(BootTimer::kMmioBase, BootTimer::kMmioSize, &timer).ok());
  const Bus bus = std::move(builder).Build();
  constexpr uint64_t kBases[] = {Serial16550::kPort, I8042::kPort, AcpiPower::kPort,
                                 BootTimer::kPort, BootTimer::kMmioBase};

  for (; size >= sizeof(Step); data += sizeof(Step), size -= sizeof(Step)) {
    Step step;
    std::memcpy(&step, data, sizeof(step));
    const size_t bytes = size_t{1} << (step.operation & 3);
    const unsigned what = (step.operation >> 3) & 7;
    if (what < 5) {
      const uint64_t address = kBases[what] + step.offset % 16;
      if ((step.operation & 4) != 0) {
        bus.Write(address, absl::MakeConstSpan(step.value, bytes));
      } else {
        bus.Read(address, absl::MakeSpan(step.value, bytes));
      }
    } else if (what == 5) {
      (void)i8042.SendCtrlAltDel();
    } else if (what == 6) {
      const std::vector<uint8_t> input(size_t{step.offset} * 32, step.value[0]);
      const size_t room = serial.input_space();
      HEARTH_CHECK(serial.AddInput(input) == std::min(room, input.size()));
    } else {
      (void)serial.AskForSpace();
    }
  }
  HEARTH_CHECK(boots <= 1);
  output->Flush();
  return 0;
}
