// SPDX-License-Identifier: Apache-2.0
// A machine that only counts what it is asked to do.
#ifndef HEARTH_RUNTIME_CONTROL_MACHINE_CONTROL_FAKE_H_
#define HEARTH_RUNTIME_CONTROL_MACHINE_CONTROL_FAKE_H_

#include "absl/status/status.h"
#include "runtime/control/machine_control.h"

namespace hearth {

class FakeMachineControl : public MachineControl {
 public:
  State state() const override { return current; }
  absl::Status Start() override {
    if (!start_status.ok()) return start_status;
    if (current != State::kNotStarted) return absl::FailedPreconditionError("already started");
    current = State::kRunning;
    return absl::OkStatus();
  }
  absl::Status Pause() override { return Move(State::kPaused); }
  absl::Status Resume() override { return Move(State::kRunning); }
  absl::Status SendCtrlAltDel() override {
    ++ctrl_alt_dels;
    return absl::OkStatus();
  }

  State current = State::kNotStarted;
  absl::Status start_status;  // what Start() fails with
  int ctrl_alt_dels = 0;

 private:
  absl::Status Move(State to) {
    if (current == State::kNotStarted) return absl::FailedPreconditionError("not started");
    current = to;
    return absl::OkStatus();
  }
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_MACHINE_CONTROL_FAKE_H_
