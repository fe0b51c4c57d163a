// SPDX-License-Identifier: Apache-2.0
// RawTerminal: while it lives, a terminal passes every key on unchanged, Ctrl-C too, for the
// guest's console.
//
// Does nothing for what is no terminal, or not the foreground's. Main thread.
#ifndef HEARTH_RUNTIME_VMM_TERMINAL_H_
#define HEARTH_RUNTIME_VMM_TERMINAL_H_

#include <termios.h>

#include <optional>

namespace hearth {

class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  const int fd_;
  std::optional<termios> saved_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_TERMINAL_H_
