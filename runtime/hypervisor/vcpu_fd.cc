// SPDX-License-Identifier: Apache-2.0
#include "runtime/hypervisor/vcpu_fd.h"

#include "base/status_macros.h"
#include "runtime/hypervisor/kvm_list.h"

namespace hearth {
VcpuFd::~VcpuFd() {
  if (run_ != nullptr) ioctls_->UnmapRun(run_, run_size_);
}

absl::Span<uint8_t> VcpuFd::PioData() const {
  const auto& io = run().io;
  const uint64_t size = uint64_t{io.size} * io.count;
  if (io.data_offset > run_size_ || size > run_size_ - io.data_offset) return {};
  return {static_cast<uint8_t*>(run_) + io.data_offset, size};
}

absl::Status VcpuFd::Call(absl::string_view name, unsigned long request, void* arg) const {
  const int result = ioctls_->Ioctl(fd_.get(), request, arg);
  if (result < 0) return base::ErrnoStatus("ioctl", absl::StrCat(name, " of vCPU ", id_), -result);
  return absl::OkStatus();
}

absl::Status VcpuFd::SetCpuid(absl::Span<const kvm_cpuid_entry2> entries) {
  return Call("KVM_SET_CPUID2", kKvmSetCpuid2, KvmList<kvm_cpuid_entry2>(entries).arg());
}

absl::Status VcpuFd::SetMsrs(absl::Span<const kvm_msr_entry> msrs) {
  KvmList<kvm_msr_entry> list(msrs);
  const int result = ioctls_->Ioctl(fd_.get(), kKvmSetMsrs, list.arg());
  if (result < 0)
    return base::ErrnoStatus("ioctl KVM_SET_MSRS", absl::StrCat("of vCPU ", id_), -result);
  // KVM stops at the first MSR that it does not take.
  if (static_cast<size_t>(result) < msrs.size()) {
    return absl::InternalError(absl::StrCat("ioctl KVM_SET_MSRS of vCPU ", id_, ": MSR 0x",
                                            absl::Hex(msrs[static_cast<size_t>(result)].index),
                                            " was refused"));
  }
  return absl::OkStatus();
}

absl::StatusOr<kvm_regs> VcpuFd::GetRegs() const {
  kvm_regs regs;
  HEARTH_RETURN_IF_ERROR(Call("KVM_GET_REGS", KVM_GET_REGS, &regs));
  return regs;
}

absl::Status VcpuFd::SetRegs(const kvm_regs& regs) {
  return Call("KVM_SET_REGS", KVM_SET_REGS, const_cast<kvm_regs*>(&regs));
}

absl::StatusOr<kvm_sregs> VcpuFd::GetSregs() const {
  kvm_sregs sregs;
  HEARTH_RETURN_IF_ERROR(Call("KVM_GET_SREGS", KVM_GET_SREGS, &sregs));
  return sregs;
}

absl::Status VcpuFd::SetSregs(const kvm_sregs& sregs) {
  return Call("KVM_SET_SREGS", KVM_SET_SREGS, const_cast<kvm_sregs*>(&sregs));
}

void VcpuFd::NotifyPaused() { (void)ioctls_->Ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, nullptr); }

}  // namespace hearth
