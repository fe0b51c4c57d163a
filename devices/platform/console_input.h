// SPDX-License-Identifier: Apache-2.0
// ConsoleInput: feeds the serial port from a file descriptor (standard input), no faster than the
// guest reads.
//
// While the serial port's queue is full the descriptor is not watched, so a guest that does not
// read costs nothing and the writer at the other end is held up, as by a real line with flow
// control. A regular file is read as the guest asks for more. The end of the input, or an error on
// it, ends the feeding and nothing else.
//
// Pipes and terminals are opened a second time with O_NONBLOCK, for the same reason and with the
// same fallback as in ConsoleOutput. Setting the terminal to raw mode (and back) is the caller's.
//
// Order: Create() this, make the serial port with `on_input_space` calling NotifySpace(), then
// Start(). Threads: NotifySpace() from any thread, without blocking; everything else, and
// destruction, on the loop's thread. No vCPU may run in the serial port while this is destroyed.
#ifndef HEARTH_DEVICES_PLATFORM_CONSOLE_INPUT_H_
#define HEARTH_DEVICES_PLATFORM_CONSOLE_INPUT_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "devices/platform/serial_16550.h"

namespace hearth {

class ConsoleInput {
 public:
  // Makes a descriptor of its own; `fd` stays the caller's and keeps its flags. Before the seccomp
  // filter (opens /proc/self/fd). `loop` must live longer.
  static absl::StatusOr<std::unique_ptr<ConsoleInput>> Create(int fd, base::EventLoop* loop);
  ~ConsoleInput();
  ConsoleInput(const ConsoleInput&) = delete;
  ConsoleInput& operator=(const ConsoleInput&) = delete;

  // `serial` must live longer.
  absl::Status Start(Serial16550* serial);
  // The serial port has room again.
  void NotifySpace();

  // The source has ended.
  bool finished() const { return finished_; }

 private:
  ConsoleInput(base::UniqueFd fd, base::UniqueFd space, base::EventLoop* loop);
  // Moves what is there and fits; watches the descriptor while there is room for more.
  void Pump();
  void Watch(bool on);

  const base::UniqueFd fd_;
  const base::UniqueFd space_;  // eventfd
  base::EventLoop* const loop_;
  Serial16550* serial_ = nullptr;
  bool pollable_ = true;  // else always readable, as a file is
  bool watching_ = false;
  bool finished_ = false;
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_CONSOLE_INPUT_H_
