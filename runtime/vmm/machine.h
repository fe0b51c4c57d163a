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
#include "runtime/vmm/device_manager.h"
#include "runtime/vmm/io_threads.h"
#include "runtime/vmm/platform_devices.h"
#include "runtime/vmm/vcpu.h"

namespace hearth {

// Everything that decides what the machine is; checked by Machine::Create().
struct MachineSpec {
  std::string kvm_node = "/dev/kvm";
  GuestMemory::Options memory;
  CpuTopology cpus;
  bool log_dirty_pages = false;
  GuestLoadOptions load;
  PlatformDevices::Options platform;
  // The virtio devices, in the order of their slots. Their nodes and kernel arguments are added to
  // `load`.
  std::vector<virtio::DeviceRequest> devices;
  uint32_t io_threads = 1;
  bool allow_io_uring = true;
};

class Machine {
 public:
  // Builds the machine; its vCPUs do not run yet. Errors name the field of the configuration, or
  // the host's part, that is at fault; nothing is left behind.
  static absl::StatusOr<std::unique_ptr<Machine>> Create(MachineSpec spec, base::EventLoop* loop,
                                                         PlatformDevices::Events events,
                                                         VcpuSet::StopHandler on_vcpu_stop);

  // After Pause() registers, memory and devices are still.
  void Resume();
  void Pause();
  absl::Status SendCtrlAltDel() { return platform_->i8042().SendCtrlAltDel(); }
  // Writes out what the console still holds.
  void FlushConsole() { platform_->Flush(); }
  // The virtio devices, in the order of the specification.
  std::vector<virtio::DeviceHandle> DeviceHandles() { return devices_->Handles(); }

 private:
  Machine(Hypervisor hypervisor, VmFd vm)
      : hypervisor_(std::move(hypervisor)), vm_(std::move(vm)) {}
  absl::Status Build(MachineSpec spec, base::EventLoop* loop, PlatformDevices::Events events,
                     VcpuSet::StopHandler on_vcpu_stop);
  absl::Status CreateDevices(MachineSpec& spec);
  absl::StatusOr<std::vector<VcpuFd>> CreateVcpus(const MachineSpec& spec, const GuestEntry& entry);

  // Destroyed from the last to the first: the vCPUs end before what they touch goes, the devices
  // before their threads.
  std::unique_ptr<GuestMemory> memory_;
  Hypervisor hypervisor_;
  VmFd vm_;
  std::unique_ptr<PlatformDevices> platform_;
  std::unique_ptr<IoThreads> io_threads_;  // nullptr without devices
  std::unique_ptr<DeviceManager> devices_;
  Bus pio_, mmio_;
  std::unique_ptr<VcpuSet> vcpus_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_MACHINE_H_
