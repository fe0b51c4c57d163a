// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/machine.h"

#include <utility>

#include "base/log.h"
#include "base/status_macros.h"

namespace hearth {
namespace {

// Three pages that VT-x without unrestricted guest needs, above everything that a guest uses below
// 4 GiB.
constexpr GuestAddress kTssAddress(0xfffbd000);

absl::Status CheckVcpuCount(const MachineSpec& spec, const Hypervisor& hypervisor) {
  if (static_cast<int>(spec.cpus.vcpu_count) <= hypervisor.max_vcpus()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("vcpu_count ", spec.cpus.vcpu_count,
                                                 " is more than the ", hypervisor.max_vcpus(),
                                                 " that ", hypervisor.node(), " allows"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Machine>> Machine::Create(MachineSpec spec, base::EventLoop* loop,
                                                         PlatformDevices::Events events,
                                                         VcpuSet::StopHandler on_vcpu_stop) {
  HEARTH_ASSIGN_OR_RETURN(Hypervisor hypervisor, Hypervisor::Open(spec.kvm_node));
  HEARTH_RETURN_IF_ERROR(CheckVcpuCount(spec, hypervisor));
  HEARTH_ASSIGN_OR_RETURN(VmFd vm, hypervisor.CreateVm());
  std::unique_ptr<Machine> machine(new Machine(std::move(hypervisor), std::move(vm)));
  HEARTH_RETURN_IF_ERROR(
      machine->Build(std::move(spec), loop, std::move(events), std::move(on_vcpu_stop)));
  return machine;
}

absl::Status Machine::Build(MachineSpec spec, base::EventLoop* loop, PlatformDevices::Events events,
                            VcpuSet::StopHandler on_vcpu_stop) {
  HEARTH_RETURN_IF_ERROR(vm_.SetTssAddress(kTssAddress));
  HEARTH_RETURN_IF_ERROR(vm_.CreateIrqchip());
  HEARTH_RETURN_IF_ERROR(vm_.CreatePit());

  HEARTH_ASSIGN_OR_RETURN(memory_, GuestMemory::Create(spec.memory), "machine-config");
  spec.load.mmio_devices = DeviceSlots(spec.devices.size());
  // The kernel is loaded before KVM knows the memory: mapping files over a slot would make KVM drop
  // its page tables.
  HEARTH_ASSIGN_OR_RETURN(const GuestEntry entry, LoadGuest(*memory_, spec.load));
  HEARTH_RETURN_IF_ERROR(vm_.SetMemory(*memory_, spec.log_dirty_pages));

  HEARTH_ASSIGN_OR_RETURN(platform_,
                          PlatformDevices::Create(spec.platform, loop, std::move(events)));
  HEARTH_RETURN_IF_ERROR(CreateDevices(spec));
  Bus::Builder pio, mmio;
  HEARTH_RETURN_IF_ERROR(platform_->AddTo(pio, mmio));
  HEARTH_RETURN_IF_ERROR(platform_->Connect(vm_));
  HEARTH_RETURN_IF_ERROR(devices_->AddTo(mmio));
  HEARTH_RETURN_IF_ERROR(devices_->Connect(vm_));
  pio_ = std::move(pio).Build();
  mmio_ = std::move(mmio).Build();

  HEARTH_ASSIGN_OR_RETURN(std::vector<VcpuFd> vcpus, CreateVcpus(spec, entry));
  vcpus_ = std::make_unique<VcpuSet>(std::move(vcpus), pio_, mmio_, std::move(on_vcpu_stop));
  HEARTH_LOG(kDebug, "kernel: ", entry.kernel_bytes_mapped, " bytes mapped, ",
             entry.kernel_bytes_copied, " copied");
  return vcpus_->Start();
}

absl::Status Machine::CreateDevices(MachineSpec& spec) {
  // A machine without devices has no thread for them.
  if (!spec.devices.empty()) {
    HEARTH_ASSIGN_OR_RETURN(io_threads_, IoThreads::Start(spec.io_threads, spec.allow_io_uring));
  }
  HEARTH_ASSIGN_OR_RETURN(
      devices_, DeviceManager::Create(std::move(spec.devices), memory_.get(), io_threads_.get()));
  return absl::OkStatus();
}

void Machine::Resume() {
  devices_->Resume();
  vcpus_->Resume();
}

void Machine::Pause() {
  vcpus_->Pause();
  devices_->Pause();
}

absl::StatusOr<std::vector<VcpuFd>> Machine::CreateVcpus(const MachineSpec& spec,
                                                         const GuestEntry& entry) {
  HEARTH_ASSIGN_OR_RETURN(const std::vector<kvm_cpuid_entry2> supported,
                          hypervisor_.SupportedCpuid());
  const bool tsc_deadline = hypervisor_.CheckExtension(KVM_CAP_TSC_DEADLINE_TIMER) > 0;
  std::vector<kvm_cpuid_entry2> cpuid = NormalizeCpuid(supported, spec.cpus, tsc_deadline);
  const std::vector<kvm_msr_entry> msrs = InitialMsrs();

  std::vector<VcpuFd> vcpus;
  vcpus.reserve(spec.cpus.vcpu_count);
  for (uint32_t id = 0; id < spec.cpus.vcpu_count; ++id) {
    HEARTH_ASSIGN_OR_RETURN(VcpuFd vcpu, vm_.CreateVcpu(id));
    SetCpuidApicId(absl::MakeSpan(cpuid), id, spec.cpus);
    HEARTH_RETURN_IF_ERROR(vcpu.SetCpuid(cpuid));
    HEARTH_RETURN_IF_ERROR(vcpu.SetMsrs(msrs));
    vcpus.push_back(std::move(vcpu));
  }
  // The others wait for their start-up IPI inside KVM.
  HEARTH_ASSIGN_OR_RETURN(kvm_sregs sregs, vcpus[0].GetSregs());
  entry.SetSregs(sregs);
  HEARTH_RETURN_IF_ERROR(vcpus[0].SetSregs(sregs));
  HEARTH_RETURN_IF_ERROR(vcpus[0].SetRegs(entry.regs));
  return vcpus;
}

}  // namespace hearth
