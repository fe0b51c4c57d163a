// SPDX-License-Identifier: Apache-2.0
// Machine: a microVM put together, from its specification to vCPUs that stand before their first
// instruction.
//
// Main thread. Nothing in it outlives it; its destructor ends the vCPU threads first.
#ifndef HEARTH_RUNTIME_VMM_MACHINE_H_
#define HEARTH_RUNTIME_VMM_MACHINE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "devices/bus/bus.h"
#include "runtime/boot/cpu_template.h"
#include "runtime/boot/guest_loader.h"
#include "runtime/hypervisor/hypervisor.h"
#include "runtime/memory/guest_memory.h"
#include "runtime/vmm/platform_devices.h"
#include "runtime/vmm/vcpu.h"

namespace hearth {

// Everything that decides what the machine is; plain data, checked by Machine::Create().
struct MachineSpec {
  std::string kvm_node = "/dev/kvm";
  GuestMemory::Options memory;
  CpuTopology cpus;
  bool log_dirty_pages = false;
  GuestLoadOptions load;
  PlatformDevices::Options platform;
};

class Machine {
 public:
  // Builds the machine; its vCPUs do not run yet. Errors name the field of the configuration, or
  // the host's part, that is at fault; nothing is left behind.
  static absl::StatusOr<std::unique_ptr<Machine>> Create(const MachineSpec& spec,
                                                         base::EventLoop* loop,
                                                         PlatformDevices::Events events,
                                                         VcpuSet::StopHandler on_vcpu_stop);

  void Resume() { vcpus_->Resume(); }
  void Pause() { vcpus_->Pause(); }
  absl::Status SendCtrlAltDel() { return platform_->i8042().SendCtrlAltDel(); }
  // Writes out what the console still holds.
  void FlushConsole() { platform_->Flush(); }

 private:
  Machine(Hypervisor hypervisor, VmFd vm)
      : hypervisor_(std::move(hypervisor)), vm_(std::move(vm)) {}
  absl::Status Build(const MachineSpec& spec, base::EventLoop* loop, PlatformDevices::Events events,
                     VcpuSet::StopHandler on_vcpu_stop);
  absl::StatusOr<std::vector<VcpuFd>> CreateVcpus(const MachineSpec& spec, const GuestEntry& entry);

  // Destroyed from the last to the first: the vCPUs end before what they touch goes.
  std::unique_ptr<GuestMemory> memory_;
  Hypervisor hypervisor_;
  VmFd vm_;
  std::unique_ptr<PlatformDevices> platform_;
  Bus pio_, mmio_;
  std::unique_ptr<VcpuSet> vcpus_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_MACHINE_H_
