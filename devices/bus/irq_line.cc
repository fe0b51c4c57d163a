// SPDX-License-Identifier: Apache-2.0
#include "devices/bus/irq_line.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/status_macros.h"

namespace hearth {

absl::StatusOr<IrqLine> IrqLine::Create() {
  base::UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return base::ErrnoStatus("eventfd", "interrupt line");
  return IrqLine(std::move(fd));
}

void IrqLine::Trigger() const {
  const uint64_t one = 1;
  // The only failure left is EAGAIN: 2^64 - 2 raises that nobody took. One of them is as good as
  // all.
  [[maybe_unused]] const ssize_t n = write(eventfd_.get(), &one, sizeof(one));
}

}  // namespace hearth
