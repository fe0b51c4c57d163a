// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/serial_16550.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace hearth {
namespace {

// Registers, by offset; with DLAB set, the first two are the divisor latch.
constexpr uint64_t kData = 0;
constexpr uint64_t kInterruptEnable = 1;
constexpr uint64_t kInterruptId = 2;  // write: FIFO control
constexpr uint64_t kLineControl = 3;
constexpr uint64_t kModemControl = 4;
constexpr uint64_t kLineStatus = 5;
constexpr uint64_t kModemStatus = 6;
constexpr uint64_t kScratch = 7;

constexpr uint8_t kIerReceive = 0x01;
constexpr uint8_t kIerTransmit = 0x02;
constexpr uint8_t kIerLine = 0x04;
constexpr uint8_t kIerModem = 0x08;

constexpr uint8_t kIirModem = 0x00;
constexpr uint8_t kIirNone = 0x01;
constexpr uint8_t kIirTransmit = 0x02;
constexpr uint8_t kIirReceive = 0x04;
constexpr uint8_t kIirLine = 0x06;
constexpr uint8_t kIirTimeout = 0x0c;
constexpr uint8_t kIirFifoEnabled = 0xc0;

constexpr uint8_t kFcrEnable = 0x01;
constexpr uint8_t kFcrClearReceive = 0x02;
constexpr uint8_t kFcrKept = 0xc9;  // enable, DMA mode, trigger level

constexpr uint8_t kLsrDataReady = 0x01;
constexpr uint8_t kLsrOverrun = 0x02;
constexpr uint8_t kLsrTransmitterEmpty = 0x60;  // holding and shift register

constexpr uint8_t kMcrImplemented = 0x1f;

constexpr uint8_t kMsrCts = 0x10;
constexpr uint8_t kMsrDsr = 0x20;
constexpr uint8_t kMsrRi = 0x40;
constexpr uint8_t kMsrDcd = 0x80;

constexpr std::array<uint8_t, 4> kTriggerLevels = {1, 4, 8, 14};

void Count(std::atomic<uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

Serial16550::Serial16550(IrqLine irq, Options options)
    : irq_(std::move(irq)),
      output_(options.output),
      on_input_space_(std::move(options.on_input_space)),
      signalled_cause_(kIirNone),
      rate_limit_(base::TokenBucket::Create(options.rate_limit, std::chrono::steady_clock::now())) {
}

void Serial16550::Read(uint64_t offset, absl::Span<uint8_t> data) {
  if (data.size() != 1 || offset >= kPortCount) {
    std::fill(data.begin(), data.end(), uint8_t{0xff});
    Count(metrics_.missed_reads);
    return;
  }
  bool has_space = false;
  {
    absl::MutexLock lock(&mutex_);
    data[0] = ReadRegister(offset);
    has_space = TakeSpaceNotice();
  }
  if (has_space && on_input_space_) on_input_space_();
}

void Serial16550::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (data.size() != 1 || offset >= kPortCount) {
    Count(metrics_.missed_writes);
    return;
  }
  bool has_space = false;
  {
    absl::MutexLock lock(&mutex_);
    WriteRegister(offset, data[0]);
    has_space = TakeSpaceNotice();
  }
  if (has_space && on_input_space_) on_input_space_();
}

size_t Serial16550::AddInput(absl::Span<const uint8_t> data) {
  absl::MutexLock lock(&mutex_);
  const size_t taken = std::min(data.size(), kInputQueueBytes - queue_size_);
  for (size_t i = 0; i < taken; ++i) {
    queue_[(queue_begin_ + queue_size_ + i) % kInputQueueBytes] = data[i];
  }
  queue_size_ += taken;
  FillFifo();
  UpdateInterrupt();
  return taken;
}

size_t Serial16550::input_space() const {
  absl::MutexLock lock(&mutex_);
  return kInputQueueBytes - queue_size_;
}

bool Serial16550::AskForSpace() {
  absl::MutexLock lock(&mutex_);
  source_waits_ = queue_size_ > kInputQueueBytes / 2;
  return source_waits_;
}

bool Serial16550::TakeSpaceNotice() {
  if (!source_waits_ || queue_size_ > kInputQueueBytes / 2) return false;
  source_waits_ = false;
  return true;
}

uint8_t Serial16550::ReadRegister(uint64_t offset) {
  switch (offset) {
    case kData:
      return dlab() ? state_.divisor_low : Receive();
    case kInterruptEnable:
      return dlab() ? state_.divisor_high : state_.ier;
    case kInterruptId: {
      const uint8_t cause = Cause();
      // Reading it acknowledges the transmitter's interrupt, and only that one.
      if (cause == kIirTransmit) state_.thr_empty_pending = false;
      UpdateInterrupt();
      return cause | (fifo_enabled() ? kIirFifoEnabled : 0);
    }
    case kLineControl:
      return state_.lcr;
    case kModemControl:
      return state_.mcr;
    case kLineStatus: {
      const uint8_t status = LineStatus();
      state_.lsr_errors = 0;
      UpdateInterrupt();
      return status;
    }
    case kModemStatus: {
      const uint8_t status = ModemLines() | state_.msr_deltas;
      state_.msr_deltas = 0;
      UpdateInterrupt();
      return status;
    }
    default:
      return state_.scratch;
  }
}

void Serial16550::WriteRegister(uint64_t offset, uint8_t value) {
  switch (offset) {
    case kData:
      if (dlab()) {
        state_.divisor_low = value;
      } else {
        Transmit(value);
      }
      break;
    case kInterruptEnable:
      if (dlab()) {
        state_.divisor_high = value;
        break;
      }
      // Enabling the transmitter's interrupt while the transmitter is empty, which it always is,
      // raises it at once. Drivers start to send with it.
      if ((value & kIerTransmit) != 0 && (state_.ier & kIerTransmit) == 0) {
        state_.thr_empty_pending = true;
      }
      state_.ier = value & 0x0f;
      break;
    case kInterruptId:
      WriteFifoControl(value);
      break;
    case kLineControl:
      state_.lcr = value;
      break;
    case kModemControl:
      WriteModemControl(value);
      break;
    case kLineStatus:   // for the factory's tests only
    case kModemStatus:  // read-only
      break;
    case kScratch:
      state_.scratch = value;
      break;
  }
  UpdateInterrupt();
}

void Serial16550::Transmit(uint8_t byte) {
  state_.thr_empty_pending = true;  // filled and emptied in one
  if (loopback()) {
    PushFifo(byte);
    return;
  }
  Count(metrics_.writes);
  if (output_ == nullptr) return;
  if (rate_limit_ && !rate_limit_->Consume(1, std::chrono::steady_clock::now())) {
    Count(metrics_.rate_limiter_dropped_bytes);
    return;
  }
  output_->Put(byte);
}

uint8_t Serial16550::Receive() {
  if (state_.fifo_size == 0) return 0;
  const uint8_t byte = state_.fifo[state_.fifo_begin];
  state_.fifo_begin = (state_.fifo_begin + 1) % kFifoBytes;
  --state_.fifo_size;
  Count(metrics_.reads);
  // The line falls when the FIFO runs empty; what the queue puts into it is a new edge.
  UpdateInterrupt();
  FillFifo();
  UpdateInterrupt();
  return byte;
}

void Serial16550::WriteFifoControl(uint8_t value) {
  const bool toggled = ((value ^ state_.fcr) & kFcrEnable) != 0;
  // The other bits only count in a write that has the enable bit.
  state_.fcr = (value & kFcrEnable) != 0 ? value & kFcrKept : 0;
  if (toggled || ((value & kFcrEnable) != 0 && (value & kFcrClearReceive) != 0)) {
    state_.fifo_begin = 0;
    state_.fifo_size = 0;
    UpdateInterrupt();
  }
  FillFifo();
}

void Serial16550::WriteModemControl(uint8_t value) {
  const uint8_t before = ModemLines();
  state_.mcr = value & kMcrImplemented;
  const uint8_t after = ModemLines();
  // CTS, DSR and DCD latch any change, RI only its end.
  state_.msr_deltas |= ((before ^ after) & (kMsrCts | kMsrDsr | kMsrDcd)) >> 4;
  state_.msr_deltas |= (before & ~after & kMsrRi) >> 4;
  FillFifo();
}

uint8_t Serial16550::LineStatus() const {
  return kLsrTransmitterEmpty | state_.lsr_errors | (state_.fifo_size > 0 ? kLsrDataReady : 0);
}

uint8_t Serial16550::ModemLines() const {
  if (!loopback()) return kMsrDcd | kMsrDsr | kMsrCts;
  // The outputs (DTR, RTS, OUT1, OUT2) come back as DSR, CTS, RI, DCD.
  return ((state_.mcr & 0x01) << 5) | ((state_.mcr & 0x02) << 3) | ((state_.mcr & 0x0c) << 4);
}

uint8_t Serial16550::Cause() const {
  if ((state_.ier & kIerLine) != 0 && state_.lsr_errors != 0) return kIirLine;
  if ((state_.ier & kIerReceive) != 0 && state_.fifo_size > 0) {
    if (!fifo_enabled() || state_.fifo_size >= kTriggerLevels[state_.fcr >> 6]) return kIirReceive;
    return kIirTimeout;
  }
  if ((state_.ier & kIerTransmit) != 0 && state_.thr_empty_pending) return kIirTransmit;
  if ((state_.ier & kIerModem) != 0 && state_.msr_deltas != 0) return kIirModem;
  return kIirNone;
}

void Serial16550::PushFifo(uint8_t byte) {
  if (state_.fifo_size == fifo_capacity()) {
    state_.lsr_errors |= kLsrOverrun;
    // With FIFOs the new byte is lost (in the shift register), without them it replaces the old
    // one.
    if (!fifo_enabled()) state_.fifo[state_.fifo_begin] = byte;
    return;
  }
  state_.fifo[(state_.fifo_begin + state_.fifo_size) % kFifoBytes] = byte;
  ++state_.fifo_size;
}

void Serial16550::FillFifo() {
  if (loopback() || state_.fifo_size > 0) return;
  while (queue_size_ > 0 && state_.fifo_size < fifo_capacity()) {
    PushFifo(queue_[queue_begin_]);
    queue_begin_ = (queue_begin_ + 1) % kInputQueueBytes;
    --queue_size_;
  }
}

void Serial16550::UpdateInterrupt() {
  uint8_t cause = Cause();
  // One cause in two guises: a FIFO that passes the trigger level is no news.
  if (cause == kIirTimeout) cause = kIirReceive;
  if (cause == signalled_cause_) return;
  signalled_cause_ = cause;
  if (cause == kIirNone) return;
  Count(metrics_.interrupts);
  irq_.Trigger();
}

}  // namespace hearth
