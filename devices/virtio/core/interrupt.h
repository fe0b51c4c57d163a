// SPDX-License-Identifier: Apache-2.0
// Interrupt: a virtio-mmio device's one interrupt: the status bits that the driver reads, and the
// line. Source: virtio 1.2, "MMIO Device Register Layout", InterruptStatus and InterruptACK.
//
// Owned by the transport. Any thread but where it says otherwise.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_INTERRUPT_H_
#define HEARTH_DEVICES_VIRTIO_CORE_INTERRUPT_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/io_ring.h"
#include "devices/bus/irq_line.h"

namespace hearth::virtio {

class Interrupt {
 public:
  static constexpr uint32_t kUsedBuffer = 1;
  static constexpr uint32_t kConfigurationChange = 2;

  // `ring`, if there is one, is the io_uring of the device's loop.
  explicit Interrupt(IrqLine line, base::IoRing* ring = nullptr)
      : line_(std::move(line)), ring_(ring) {}

  void Raise(uint32_t bits) {
    // Before the line: who is interrupted finds the reason.
    status_.fetch_or(bits, std::memory_order_seq_cst);
    line_.Trigger();
  }
  // The same on the device's thread. With a ring, the line is raised by the system call that ends
  // the loop's turn anyway, so an interrupt costs none of its own, and a turn's interrupts come
  // when its work is done.
  void RaiseFromLoop(uint32_t bits) {
    if (ring_ == nullptr) return Raise(bits);
    status_.fetch_or(bits, std::memory_order_seq_cst);
    ring_->SignalEventfd(line_.fd());
  }
  uint32_t status() const { return status_.load(std::memory_order_seq_cst); }
  void Acknowledge(uint32_t bits) { status_.fetch_and(~bits, std::memory_order_seq_cst); }
  // After a restore: the bits as they were, and the line once more if any is set, since nobody
  // knows whether the guest had seen it.
  void Restore(uint32_t bits) {
    status_.store(bits, std::memory_order_seq_cst);
    if (bits != 0) line_.Trigger();
  }

  const IrqLine& line() const { return line_; }

 private:
  std::atomic<uint32_t> status_{0};
  IrqLine line_;
  base::IoRing* const ring_;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_INTERRUPT_H_
