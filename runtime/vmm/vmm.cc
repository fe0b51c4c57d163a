// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/vmm.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "runtime/vmm/spec.h"

namespace hearth {

Vmm::~Vmm() = default;

absl::Status Vmm::Start() {
  if (state_ != State::kNotStarted)
    return absl::FailedPreconditionError("the microVM is already running");
  HEARTH_ASSIGN_OR_RETURN(MachineSpec spec, SpecFromConfig(*config_));
  spec.kvm_node = options_.kvm_node;
  spec.platform.boot_timer = options_.boot_timer;
  spec.platform.process_start = options_.process_start;
  spec.allow_io_uring = options_.allow_io_uring;
  HEARTH_ASSIGN_OR_RETURN(spec.devices, devices_->Requests());
  AddKernelArguments(devices_->KernelArguments(), &spec.load.command_line);
  AddKernelArguments(DeviceArguments(DeviceSlots(spec.devices.size())), &spec.load.command_line);
  const std::string started =
      absl::StrCat(spec.cpus.vcpu_count, " vCPUs, ", spec.memory.size_bytes >> 20, " MiB, ",
                   spec.devices.size(), " virtio devices, kernel ", spec.load.kernel_path);
  HEARTH_ASSIGN_OR_RETURN(
      machine_,
      Machine::Create(std::move(spec), loop_,
                      {.on_reset = [this] { PostEnd("the guest pulsed the reset line", kExitOk); },
                       .on_power_off = [this] { PostEnd("the guest powered off", kExitOk); }},
                      [this](VcpuStop stop) {
                        loop_->Post([this, stop = std::move(stop)]() mutable {
                          OnVcpuStop(std::move(stop));
                        });
                      }));
  devices_->Attach(machine_->DeviceHandles());
  terminal_.emplace(STDIN_FILENO);
  machine_->Resume();
  state_ = State::kRunning;
  HEARTH_LOG(kInfo, "microVM started: ", started);
  return absl::OkStatus();
}

absl::Status Vmm::Pause() {
  if (state_ == State::kNotStarted)
    return absl::FailedPreconditionError("the microVM is not running");
  if (state_ == State::kPaused) return absl::OkStatus();
  machine_->Pause();
  state_ = State::kPaused;
  HEARTH_LOG(kInfo, "microVM paused");
  return absl::OkStatus();
}

absl::Status Vmm::Resume() {
  if (state_ == State::kNotStarted)
    return absl::FailedPreconditionError("the microVM is not running");
  if (state_ == State::kRunning) return absl::OkStatus();
  machine_->Resume();
  state_ = State::kRunning;
  HEARTH_LOG(kInfo, "microVM resumed");
  return absl::OkStatus();
}

absl::Status Vmm::SendCtrlAltDel() {
  if (state_ == State::kNotStarted)
    return absl::FailedPreconditionError("the microVM is not running");
  return machine_->SendCtrlAltDel();
}

void Vmm::PostEnd(std::string why, int exit_status) {
  loop_->Post([this, why = std::move(why), exit_status] { End(why, exit_status); });
}

void Vmm::OnVcpuStop(VcpuStop stop) {
  if (ended_) return;
  // A triple fault is how guests reboot that have no better way ("reboot=t"), so it ends the
  // process as a reset does; the registers tell a crash from that.
  for (const absl::string_view line : absl::StrSplit(stop.registers, '\n'))
    HEARTH_LOG(kError, line);
  End(stop.reason, stop.is_shutdown ? kExitOk : kExitGenericError);
}

void Vmm::End(absl::string_view why, int exit_status) {
  // A guest may pulse the reset line many times before its vCPUs stop.
  if (std::exchange(ended_, true)) return;
  machine_->Pause();
  machine_->FlushConsole();
  if (exit_status == kExitOk) {
    HEARTH_LOG(kInfo, "microVM ended: ", why);
  } else {
    HEARTH_LOG(kError, "microVM ended: ", why);
  }
  on_end_(exit_status);
}

}  // namespace hearth
