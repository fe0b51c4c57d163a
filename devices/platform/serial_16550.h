// SPDX-License-Identifier: Apache-2.0
// Serial16550: the first serial port of a PC (COM1: ports 0x3f8-0x3ff, IRQ 4), a 16550A UART.
//
// Implements what the National Semiconductor PC16550D data sheet ("Registers") says, less the
// modem: the transmitter is always empty (a byte is in the ConsoleOutput before the exit ends), the
// line never has errors but overruns in loopback, and DCD, DSR and CTS are always on. Character
// timeouts are immediate. Only byte accesses reach a register; others read ones or do nothing, and
// are counted.
//
// Interrupts. The line is edge-triggered (IrqLine). An edge is sent when the identification
// register (IIR) starts to name a cause or names another one than before, so a handler that serves
// one cause and returns gets an interrupt for the next. A cause that is pending already, and not
// yet acknowledged, sends no second edge: sixteen writes to the transmitter are one interrupt, not
// sixteen.
//
// Input. The receive FIFO holds 16 bytes (1 with FIFOs off) and is filled anew, with a new edge,
// when the guest has emptied it, from a queue of 4 KiB. AddInput() takes what fits; a source
// (ConsoleInput) reads no more than input_space(), and stops until `on_input_space` says that there
// is room. So input is lost only where the guest clears its FIFO. In loopback the queue waits.
//
// Threads: Read() and Write() on any vCPU thread, AddInput() and input_space() on any thread.
#ifndef HEARTH_DEVICES_PLATFORM_SERIAL_16550_H_
#define HEARTH_DEVICES_PLATFORM_SERIAL_16550_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/rate_limiter.h"
#include "devices/bus/bus.h"
#include "devices/bus/irq_line.h"
#include "devices/platform/console_output.h"

namespace hearth {

class Serial16550 final : public BusDevice {
 public:
  static constexpr uint64_t kPort = 0x3f8;
  static constexpr uint64_t kPortCount = 8;
  static constexpr uint32_t kGsi = 4;
  static constexpr size_t kFifoBytes = 16;
  static constexpr size_t kInputQueueBytes = 4 << 10;

  struct Options {
    // Where output goes; null throws it away. Must live longer.
    ConsoleOutput* output = nullptr;
    // Output beyond this rate is dropped and counted.
    base::TokenBucket::Options rate_limit;
    // Called once after AskForSpace(), when the input queue is half empty: on a vCPU thread,
    // without locks held; must not block.
    absl::AnyInvocable<void() const> on_input_space;
  };

  struct Metrics {
    std::atomic<uint64_t> reads{0};         // bytes of input that the guest took
    std::atomic<uint64_t> writes{0};        // bytes that the guest sent
    std::atomic<uint64_t> missed_reads{0};  // accesses that no register answers
    std::atomic<uint64_t> missed_writes{0};
    std::atomic<uint64_t> rate_limiter_dropped_bytes{0};
    std::atomic<uint64_t> interrupts{0};
  };

  // All that a guest can see; plain bytes, for snapshots.
  struct State {
    uint8_t ier = 0;
    uint8_t fcr = 0;
    uint8_t lcr = 0x03;  // 8N1, as firmware leaves it
    uint8_t mcr = 0x08;  // OUT2
    uint8_t lsr_errors = 0;
    uint8_t msr_deltas = 0;
    uint8_t scratch = 0;
    uint8_t divisor_low = 12;  // 9600 baud
    uint8_t divisor_high = 0;
    bool thr_empty_pending = false;
    uint8_t fifo_begin = 0;
    uint8_t fifo_size = 0;
    std::array<uint8_t, kFifoBytes> fifo = {};
  };

  Serial16550(IrqLine irq, Options options);

  absl::string_view name() const override { return "serial"; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes the first bytes of `data` that fit; returns how many.
  size_t AddInput(absl::Span<const uint8_t> data) ABSL_LOCKS_EXCLUDED(mutex_);
  size_t input_space() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Has `on_input_space` called later; false, and no call, where the queue is half empty already.
  bool AskForSpace() ABSL_LOCKS_EXCLUDED(mutex_);

  const IrqLine& irq() const { return irq_; }
  const Metrics& metrics() const { return metrics_; }

 private:
  uint8_t ReadRegister(uint64_t offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteRegister(uint64_t offset, uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Transmit(uint8_t byte) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint8_t Receive() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteFifoControl(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteModemControl(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool dlab() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return (state_.lcr & 0x80) != 0; }
  bool fifo_enabled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return (state_.fcr & 1) != 0; }
  bool loopback() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return (state_.mcr & 0x10) != 0; }
  size_t fifo_capacity() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return fifo_enabled() ? kFifoBytes : 1;
  }
  uint8_t LineStatus() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint8_t ModemLines() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The cause that IIR names now, by its priority.
  uint8_t Cause() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void PushFifo(uint8_t byte) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves bytes from the queue to an empty FIFO.
  void FillFifo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True once when a waiting source can go on.
  bool TakeSpaceNotice() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sends an edge if the cause has changed to another one.
  void UpdateInterrupt() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const IrqLine irq_;
  ConsoleOutput* const output_;
  const absl::AnyInvocable<void() const> on_input_space_;

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
  uint8_t signalled_cause_ ABSL_GUARDED_BY(mutex_);
  std::optional<base::TokenBucket> rate_limit_ ABSL_GUARDED_BY(mutex_);
  std::array<uint8_t, kInputQueueBytes> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queue_begin_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t queue_size_ ABSL_GUARDED_BY(mutex_) = 0;
  bool source_waits_ ABSL_GUARDED_BY(mutex_) = false;  // after AskForSpace()

  Metrics metrics_;
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_SERIAL_16550_H_
