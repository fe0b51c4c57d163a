// SPDX-License-Identifier: Apache-2.0
// I8042: the PS/2 keyboard controller of a PC (ports 0x60 and 0x64, IRQ 1) with one keyboard and no
// second port.
//
// It is there for two things: the guest resets the machine through it (pulse of output line 0,
// `reboot=k`), and the host presses Ctrl-Alt-Del through it. The rest is what Linux's i8042 and
// atkbd drivers ask for before they trust it, answered as a keyboard with scan code set 2 (the
// default) or 1 would, translated to set 1 while the controller's translation is on. Sources: IBM
// PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller"; Intel
// 8042 data sheet; Linux's include/linux/i8042.h and drivers/input/serio/i8042.h for what is in
// use.
//
// The output buffer holds one byte; the next one (and its interrupt) comes when the guest has read
// it. The keyboard's answers go before key codes. Port 0x61, between the two, is not part of it and
// reads as a timer 2 that is done.
//
// Threads: Read() and Write() on any vCPU thread; SendCtrlAltDel() on any thread.
#ifndef HEARTH_DEVICES_PLATFORM_I8042_H_
#define HEARTH_DEVICES_PLATFORM_I8042_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "devices/bus/bus.h"
#include "devices/bus/irq_line.h"

namespace hearth {

class I8042 final : public BusDevice {
 public:
  static constexpr uint64_t kPort = 0x60;
  static constexpr uint64_t kPortCount = 5;  // data at 0x60, command and status at 0x64
  static constexpr uint32_t kGsi = 1;

  struct Metrics {
    std::atomic<uint64_t> reads{0};
    std::atomic<uint64_t> writes{0};
    std::atomic<uint64_t> missed_reads{0};  // accesses that are not a byte at one of the ports
    std::atomic<uint64_t> missed_writes{0};
    std::atomic<uint64_t> resets{0};
    std::atomic<uint64_t> errors{0};  // answers or keys that found a queue full
  };

  // `on_reset` is called on a vCPU thread, without locks held, each time the guest pulses the reset
  // line; it must not block.
  I8042(IrqLine irq, absl::AnyInvocable<void() const> on_reset);

  absl::string_view name() const override { return "i8042"; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override ABSL_LOCKS_EXCLUDED(mutex_);

  // Presses and releases the three keys. FailedPrecondition, with nothing sent, where the guest has
  // switched the keyboard or its interrupt off or does not read.
  absl::Status SendCtrlAltDel() ABSL_LOCKS_EXCLUDED(mutex_);

  const IrqLine& irq() const { return irq_; }
  const Metrics& metrics() const { return metrics_; }

 private:
  // A ring of bytes; full means that Push() refuses.
  template <size_t kSize>
  struct ByteQueue {
    bool Push(uint8_t byte) {
      if (size == kSize) return false;
      bytes[(begin + size++) % kSize] = byte;
      return true;
    }
    uint8_t Pop() {
      const uint8_t byte = bytes[begin];
      begin = (begin + 1) % kSize;
      --size;
      return byte;
    }
    void Clear() { begin = size = 0; }

    std::array<uint8_t, kSize> bytes = {};
    uint8_t begin = 0;
    uint8_t size = 0;
  };

  // All that a guest can see; plain bytes, for snapshots.
  struct State {
    // Controller.
    uint8_t command_byte;
    uint8_t pending_command = 0;  // takes the next byte written to the data port; 0 for none
    bool last_write_was_command = false;
    bool output_full = false;
    uint8_t output = 0;
    ByteQueue<4> controller_answers;
    // Keyboard.
    uint8_t keyboard_command = 0;  // takes the next byte sent to the keyboard; 0 for none
    uint8_t scan_code_set = 2;
    uint8_t last_sent = 0;
    bool scanning = true;
    ByteQueue<8> keyboard_answers;
    ByteQueue<16> keys;
  };

  uint8_t ReadData() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint8_t Status() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // These return true where the guest pulses the reset line.
  bool WriteCommand(uint8_t command) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WriteData(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void WriteCommandByte(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteKeyboard(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerAsController(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerAsKeyboard(std::initializer_list<uint8_t> bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool translates() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts the next byte, if any, into an empty output buffer.
  void FillOutput() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RaiseInterrupt() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const IrqLine irq_;
  const absl::AnyInvocable<void() const> on_reset_;
  absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
  Metrics metrics_;
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_I8042_H_
