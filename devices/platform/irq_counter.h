// SPDX-License-Identifier: Apache-2.0
// For tests: an IrqLine whose interrupts are counted as the guest's interrupt controller would see
// them.
#ifndef HEARTH_DEVICES_PLATFORM_IRQ_COUNTER_H_
#define HEARTH_DEVICES_PLATFORM_IRQ_COUNTER_H_

#include <unistd.h>

#include <cstdint>

#include "devices/bus/irq_line.h"

namespace hearth {

inline IrqLine MakeIrqLine() { return *IrqLine::Create(); }

// The interrupts since the last call.
inline uint64_t TakeInterrupts(const IrqLine& line) {
  uint64_t count = 0;
  if (read(line.fd(), &count, sizeof(count)) != sizeof(count)) return 0;
  return count;
}

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_IRQ_COUNTER_H_
