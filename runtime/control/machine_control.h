// SPDX-License-Identifier: Apache-2.0
// MachineControl: what the API's nouns can ask of the machine. The VMM implements it; tests fake
// it.
//
// Every method runs on the main (VMM) thread and finishes what it names before it returns. A failed
// method leaves the machine as it was.
#ifndef HEARTH_RUNTIME_CONTROL_MACHINE_CONTROL_H_
#define HEARTH_RUNTIME_CONTROL_MACHINE_CONTROL_H_

#include "absl/status/status.h"

namespace hearth {

class MachineControl {
 public:
  enum class State { kNotStarted, kRunning, kPaused };

  virtual ~MachineControl() = default;
  virtual State state() const = 0;
  // Builds the machine from the configuration that the nouns hold and lets its vCPUs run.
  // FailedPrecondition unless kNotStarted; after another error a corrected configuration may be
  // started.
  virtual absl::Status Start() = 0;
  // OK and no effect when already there. FailedPrecondition while kNotStarted.
  virtual absl::Status Pause() = 0;
  virtual absl::Status Resume() = 0;
  // Presses Ctrl-Alt-Del on the i8042 keyboard.
  virtual absl::Status SendCtrlAltDel() = 0;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_MACHINE_CONTROL_H_
