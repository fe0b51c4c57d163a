// SPDX-License-Identifier: Apache-2.0
// IrqLine: a device's edge-triggered interrupt: an eventfd that the VMM has bound to a GSI with
// KVM_IRQFD.
//
// Owns its eventfd. Trigger() may be called by any thread; it is one write(2) and never blocks.
#ifndef HEARTH_DEVICES_BUS_IRQ_LINE_H_
#define HEARTH_DEVICES_BUS_IRQ_LINE_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace hearth {

class IrqLine {
 public:
  static absl::StatusOr<IrqLine> Create();

  // Raises the interrupt once. Raises that the guest has not seen yet merge into one, as on a wire.
  void Trigger() const;
  // For KVM_IRQFD, and for tests that count interrupts.
  int fd() const { return eventfd_.get(); }

 private:
  explicit IrqLine(base::UniqueFd eventfd) : eventfd_(std::move(eventfd)) {}
  base::UniqueFd eventfd_;
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_BUS_IRQ_LINE_H_
