// SPDX-License-Identifier: Apache-2.0
// Vmm: the microVM of this process: its state, and the end of it.
//
// Not started -> running <-> paused, and then the process ends. Main thread.
#ifndef HEARTH_RUNTIME_VMM_VMM_H_
#define HEARTH_RUNTIME_VMM_VMM_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "base/event_loop.h"
#include "runtime/control/machine_control.h"
#include "runtime/resources/vm_config.h"
#include "runtime/vmm/device_families.h"
#include "runtime/vmm/machine.h"
#include "runtime/vmm/terminal.h"

namespace hearth {

// Exit statuses of the process; the numbers are Firecracker's.
inline constexpr int kExitOk = 0;
inline constexpr int kExitGenericError = 1;
inline constexpr int kExitBadConfiguration = 152;
inline constexpr int kExitArgumentParsing = 153;

class Vmm final : public MachineControl {
 public:
  struct Options {
    std::string kvm_node = "/dev/kvm";
    bool boot_timer = false;
    bool allow_io_uring = true;
    BootTimer::Times process_start;
  };
  // Called once, on the main thread, when the guest has ended the machine; gets the process's exit
  // status.
  using EndHandler = absl::AnyInvocable<void(int exit_status)>;

  // `loop` is the main thread's; `config` and `devices` are what the API's nouns fill. All must
  // outlive this.
  Vmm(Options options, const VmConfig* config, DeviceFamilies* devices, base::EventLoop* loop,
      EndHandler on_end)
      : options_(std::move(options)),
        config_(config),
        devices_(devices),
        loop_(loop),
        on_end_(std::move(on_end)) {}
  ~Vmm() override;

  State state() const override { return state_; }
  absl::Status Start() override;
  absl::Status Pause() override;
  absl::Status Resume() override;
  absl::Status SendCtrlAltDel() override;

 private:
  // Any thread: ends the machine from the main thread.
  void PostEnd(std::string why, int exit_status);
  void End(absl::string_view why, int exit_status);
  void OnVcpuStop(VcpuStop stop);

  const Options options_;
  const VmConfig* const config_;
  DeviceFamilies* const devices_;
  base::EventLoop* const loop_;
  EndHandler on_end_;
  State state_ = State::kNotStarted;
  bool ended_ = false;
  std::unique_ptr<Machine> machine_;
  std::optional<RawTerminal> terminal_;  // while there is a machine to type to
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_VMM_H_
