// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/terminal.h"

#include <unistd.h>

namespace hearth {

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  termios settings;
  if (tcgetattr(fd, &settings) != 0) return;
  // A background job that touches the settings would be stopped by SIGTTOU.
  if (tcgetpgrp(fd) != getpgrp()) return;
  saved_ = settings;
  cfmakeraw(&settings);
  settings.c_oflag |= OPOST;  // our own log lines still end in a full line break
  tcsetattr(fd, TCSANOW, &settings);
}

RawTerminal::~RawTerminal() {
  if (saved_.has_value()) tcsetattr(fd_, TCSANOW, &*saved_);
}

}  // namespace hearth
