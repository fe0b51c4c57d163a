// SPDX-License-Identifier: Apache-2.0
// VcpuFd: one vCPU's file descriptor and its shared struct kvm_run.
//
// Owns both. Move-only. All methods are for one thread at a time: the main thread until the vCPU's
// own thread starts, then that thread. Only run().immediate_exit may be set by others (KVM reads it
// with one load).
#ifndef HEARTH_RUNTIME_HYPERVISOR_VCPU_FD_H_
#define HEARTH_RUNTIME_HYPERVISOR_VCPU_FD_H_

#include <linux/kvm.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "runtime/hypervisor/kvm_ioctls.h"

namespace hearth {

class VcpuFd {
 public:
  VcpuFd(VcpuFd&& other) noexcept
      : id_(other.id_),
        fd_(std::move(other.fd_)),
        run_(std::exchange(other.run_, nullptr)),
        run_size_(other.run_size_),
        ioctls_(other.ioctls_) {}
  ~VcpuFd();

  uint32_t id() const { return id_; }
  kvm_run& run() const { return *static_cast<kvm_run*>(run_); }
  // What KVM_RUN's PIO exits point to, checked against the mapping: the data of run().io, empty
  // where they would not fit.
  absl::Span<uint8_t> PioData() const;

  // KVM_RUN: 0 after an exit described in run(), or -errno; -EINTR and -EAGAIN are no errors.
  int Run() { return ioctls_->Ioctl(fd_.get(), KVM_RUN, nullptr); }

  absl::Status SetCpuid(absl::Span<const kvm_cpuid_entry2> entries);
  absl::Status SetMsrs(absl::Span<const kvm_msr_entry> msrs);
  absl::StatusOr<kvm_regs> GetRegs() const;
  absl::Status SetRegs(const kvm_regs& regs);
  absl::StatusOr<kvm_sregs> GetSregs() const;
  absl::Status SetSregs(const kvm_sregs& sregs);
  // KVM_KVMCLOCK_CTRL: tells the guest that it was paused, so that its watchdogs keep quiet. No
  // effect without kvmclock.
  void NotifyPaused();

 private:
  friend class VmFd;
  VcpuFd(uint32_t id, base::UniqueFd fd, void* run, size_t run_size, KvmIoctls* ioctls)
      : id_(id), fd_(std::move(fd)), run_(run), run_size_(run_size), ioctls_(ioctls) {}
  absl::Status Call(absl::string_view name, unsigned long request, void* arg) const;

  uint32_t id_;
  base::UniqueFd fd_;
  void* run_;
  size_t run_size_;
  KvmIoctls* ioctls_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_HYPERVISOR_VCPU_FD_H_
