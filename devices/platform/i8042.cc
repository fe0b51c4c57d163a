// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/i8042.h"

#include <algorithm>
#include <utility>

namespace hearth {
namespace {

constexpr uint64_t kDataOffset = 0;
constexpr uint64_t kPort61Offset = 1;
constexpr uint64_t kCommandOffset = 4;

// Status register.
constexpr uint8_t kStatusOutputFull = 0x01;
constexpr uint8_t kStatusSystem = 0x04;
constexpr uint8_t kStatusCommand = 0x08;
constexpr uint8_t kStatusUnlocked = 0x10;

// Command byte, also called the control register.
constexpr uint8_t kByteKeyboardInterrupt = 0x01;
constexpr uint8_t kByteSystem = 0x04;
constexpr uint8_t kByteKeyboardDisabled = 0x10;
constexpr uint8_t kByteAuxDisabled = 0x20;
constexpr uint8_t kByteTranslate = 0x40;

// Controller commands.
constexpr uint8_t kReadCommandByte = 0x20;
constexpr uint8_t kWriteCommandByte = 0x60;
constexpr uint8_t kTestAux = 0xa9;
constexpr uint8_t kSelfTest = 0xaa;
constexpr uint8_t kTestKeyboard = 0xab;
constexpr uint8_t kDisableKeyboard = 0xad;
constexpr uint8_t kEnableKeyboard = 0xae;
constexpr uint8_t kReadInputPort = 0xc0;
constexpr uint8_t kReadOutputPort = 0xd0;
constexpr uint8_t kWriteOutputPort = 0xd1;
constexpr uint8_t kWriteKeyboardBuffer = 0xd2;
constexpr uint8_t kWriteAuxBuffer = 0xd3;
constexpr uint8_t kWriteAux = 0xd4;
constexpr uint8_t kPulse = 0xf0;  // to 0xff: pulses the output lines whose bits are 0

constexpr uint8_t kSelfTestPassed = 0x55;
constexpr uint8_t kClockLineLow = 0x01;  // of the second port, which is not there

constexpr uint8_t kOutputReset = 0x01;  // active low
constexpr uint8_t kOutputA20 = 0x02;
constexpr uint8_t kOutputKeyboardFull = 0x10;
constexpr uint8_t kInputUnlocked = 0x80;

// Keyboard commands.
constexpr uint8_t kSetLeds = 0xed;
constexpr uint8_t kEcho = 0xee;
constexpr uint8_t kScanCodeSet = 0xf0;
constexpr uint8_t kIdentify = 0xf2;
constexpr uint8_t kSetTypematic = 0xf3;
constexpr uint8_t kEnableScanning = 0xf4;
constexpr uint8_t kDisableScanning = 0xf5;
constexpr uint8_t kSetDefaults = 0xf6;
constexpr uint8_t kResend = 0xfe;
constexpr uint8_t kResetKeyboard = 0xff;

constexpr uint8_t kAck = 0xfa;
constexpr uint8_t kTestPassed = 0xaa;

// Control, Alt and Delete pressed, then released in reverse.
constexpr std::array<uint8_t, 8> kCtrlAltDelSet1 = {0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d};
constexpr std::array<uint8_t, 11> kCtrlAltDelSet2 = {0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0,
                                                     0x71, 0xf0, 0x11, 0xf0, 0x14};

void Count(std::atomic<uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

I8042::I8042(IrqLine irq, absl::AnyInvocable<void() const> on_reset)
    : irq_(std::move(irq)), on_reset_(std::move(on_reset)) {
  // As firmware leaves it.
  state_.command_byte = kByteKeyboardInterrupt | kByteSystem | kByteAuxDisabled | kByteTranslate;
}

void I8042::Read(uint64_t offset, absl::Span<uint8_t> data) {
  std::fill(data.begin(), data.end(), uint8_t{0xff});
  if (data.size() == 1 && offset == kPort61Offset) {
    data[0] = 0x20;  // output of timer 2 is high: what waits for it need not wait
    return;
  }
  if (data.size() != 1 || (offset != kDataOffset && offset != kCommandOffset)) {
    Count(metrics_.missed_reads);
    return;
  }
  Count(metrics_.reads);
  absl::MutexLock lock(&mutex_);
  data[0] = offset == kDataOffset ? ReadData() : Status();
}

void I8042::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (data.size() != 1 || (offset != kDataOffset && offset != kCommandOffset)) {
    Count(metrics_.missed_writes);
    return;
  }
  Count(metrics_.writes);
  bool reset;
  {
    absl::MutexLock lock(&mutex_);
    reset = offset == kDataOffset ? WriteData(data[0]) : WriteCommand(data[0]);
  }
  if (!reset) return;
  Count(metrics_.resets);
  if (on_reset_) on_reset_();
}

absl::Status I8042::SendCtrlAltDel() {
  absl::MutexLock lock(&mutex_);
  if ((state_.command_byte & kByteKeyboardInterrupt) == 0 ||
      (state_.command_byte & kByteKeyboardDisabled) != 0 || !state_.scanning) {
    return absl::FailedPreconditionError(
        "the guest has the keyboard disabled: it needs an i8042 driver for Ctrl-Alt-Del");
  }
  const bool set1 = translates() || state_.scan_code_set == 1;
  const absl::Span<const uint8_t> codes = set1 ? absl::Span<const uint8_t>(kCtrlAltDelSet1)
                                               : absl::Span<const uint8_t>(kCtrlAltDelSet2);
  if (codes.size() > state_.keys.bytes.size() - state_.keys.size) {
    Count(metrics_.errors);
    return absl::FailedPreconditionError("the guest does not read its keyboard");
  }
  for (const uint8_t code : codes) state_.keys.Push(code);
  FillOutput();
  return absl::OkStatus();
}

bool I8042::translates() const {
  return (state_.command_byte & kByteTranslate) != 0 && state_.scan_code_set == 2;
}

uint8_t I8042::Status() const {
  return kStatusUnlocked | (state_.command_byte & kStatusSystem) |
         (state_.output_full ? kStatusOutputFull : 0) |
         (state_.last_write_was_command ? kStatusCommand : 0);
}

uint8_t I8042::ReadData() {
  // An empty buffer reads as it was: the register is a latch.
  const uint8_t value = state_.output;
  state_.output_full = false;
  FillOutput();
  return value;
}

bool I8042::WriteCommand(uint8_t command) {
  state_.last_write_was_command = true;
  state_.pending_command = 0;
  switch (command) {
    case kReadCommandByte:
      AnswerAsController(state_.command_byte);
      return false;
    case kSelfTest:
      state_.command_byte |= kByteSystem;
      AnswerAsController(kSelfTestPassed);
      return false;
    case kTestKeyboard:
      AnswerAsController(0);
      return false;
    case kTestAux:
      AnswerAsController(kClockLineLow);
      return false;
    case kDisableKeyboard:
      WriteCommandByte(state_.command_byte | kByteKeyboardDisabled);
      return false;
    case kEnableKeyboard:
      WriteCommandByte(state_.command_byte & static_cast<uint8_t>(~kByteKeyboardDisabled));
      return false;
    case kReadInputPort:
      AnswerAsController(kInputUnlocked);
      return false;
    case kReadOutputPort:
      AnswerAsController(kOutputReset | kOutputA20 |
                         (state_.output_full ? kOutputKeyboardFull : 0));
      return false;
    case kWriteCommandByte:
    case kWriteOutputPort:
    case kWriteKeyboardBuffer:
    case kWriteAuxBuffer:
    case kWriteAux:
      state_.pending_command = command;
      return false;
    default:
      return command >= kPulse && (command & kOutputReset) == 0;
  }
}

bool I8042::WriteData(uint8_t value) {
  state_.last_write_was_command = false;
  switch (std::exchange(state_.pending_command, uint8_t{0})) {
    case kWriteCommandByte:
      WriteCommandByte(value);
      return false;
    case kWriteOutputPort:
      return (value & kOutputReset) == 0;
    case kWriteKeyboardBuffer:
      AnswerAsController(value);
      return false;
    case kWriteAuxBuffer:
      // There is no second port to loop through. Not the byte, and not marked as from there: the
      // driver sees at once what it would otherwise wait half a second for.
      AnswerAsController(static_cast<uint8_t>(~value));
      return false;
    case kWriteAux:
      return false;
    default:
      WriteKeyboard(value);
      return false;
  }
}

void I8042::WriteCommandByte(uint8_t value) {
  const uint8_t before = std::exchange(state_.command_byte, value);
  if (state_.output_full && (value & ~before & kByteKeyboardInterrupt) != 0) RaiseInterrupt();
  FillOutput();  // the keyboard may speak again
}

void I8042::WriteKeyboard(uint8_t value) {
  // A byte for the keyboard opens its line again.
  state_.command_byte &= static_cast<uint8_t>(~kByteKeyboardDisabled);
  state_.keyboard_answers.Clear();
  const uint8_t command = std::exchange(state_.keyboard_command, uint8_t{0});
  // Parameters are below 0x80; anything above is a new command (as after a driver's timeout).
  if (command != 0 && value < 0x80) {
    if (command != kScanCodeSet) {
      AnswerAsKeyboard({kAck});
    } else if (value == 0) {
      AnswerAsKeyboard({kAck, state_.scan_code_set});
    } else if (value == 1 || value == 2) {
      state_.scan_code_set = value;
      AnswerAsKeyboard({kAck});
    } else {
      AnswerAsKeyboard({kResend});
    }
    return;
  }
  switch (value) {
    case kSetLeds:
    case kScanCodeSet:
    case kSetTypematic:
      state_.keyboard_command = value;
      AnswerAsKeyboard({kAck});
      break;
    case kEcho:
      AnswerAsKeyboard({kEcho});
      break;
    case kIdentify:
      // 0xab 0x83: a keyboard with 101 or 102 keys; the controller's translation makes 0x41 of the
      // 0x83.
      AnswerAsKeyboard({kAck, 0xab, static_cast<uint8_t>(translates() ? 0x41 : 0x83)});
      break;
    case kEnableScanning:
      state_.scanning = true;
      state_.keys.Clear();
      AnswerAsKeyboard({kAck});
      break;
    case kDisableScanning:
    case kSetDefaults:
    case kResetKeyboard:
      state_.scanning = value != kDisableScanning;
      state_.scan_code_set = 2;
      state_.keys.Clear();
      if (value == kResetKeyboard) {
        AnswerAsKeyboard({kAck, kTestPassed});
      } else {
        AnswerAsKeyboard({kAck});
      }
      break;
    case kResend:
      AnswerAsKeyboard({state_.last_sent});
      break;
    default:
      AnswerAsKeyboard({kResend});
      break;
  }
}

void I8042::AnswerAsController(uint8_t value) {
  if (!state_.controller_answers.Push(value)) Count(metrics_.errors);
  FillOutput();
}

void I8042::AnswerAsKeyboard(std::initializer_list<uint8_t> bytes) {
  for (const uint8_t byte : bytes) {
    if (!state_.keyboard_answers.Push(byte)) Count(metrics_.errors);
  }
  FillOutput();
}

void I8042::FillOutput() {
  if (state_.output_full) return;
  if (state_.controller_answers.size > 0) {
    state_.output = state_.controller_answers.Pop();
  } else if ((state_.command_byte & kByteKeyboardDisabled) != 0) {
    return;  // the keyboard's clock line is held
  } else if (state_.keyboard_answers.size > 0) {
    state_.output = state_.last_sent = state_.keyboard_answers.Pop();
  } else if (state_.keys.size > 0) {
    state_.output = state_.last_sent = state_.keys.Pop();
  } else {
    return;
  }
  state_.output_full = true;
  RaiseInterrupt();
}

void I8042::RaiseInterrupt() {
  if ((state_.command_byte & kByteKeyboardInterrupt) != 0) irq_.Trigger();
}

}  // namespace hearth
