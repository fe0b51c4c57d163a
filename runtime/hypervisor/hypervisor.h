// SPDX-License-Identifier: Apache-2.0
// Hypervisor: an open KVM-ABI node, /dev/kvm or the node of Hearth's own module. Makes VMs.
//
// Owns the node's file descriptor. Thread-safe. Every error names the node, the ioctl, and what the
// operator can do.
#ifndef HEARTH_RUNTIME_HYPERVISOR_HYPERVISOR_H_
#define HEARTH_RUNTIME_HYPERVISOR_HYPERVISOR_H_

#include <linux/kvm.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/hypervisor/kvm_ioctls.h"
#include "runtime/hypervisor/vm_fd.h"

namespace hearth {

class Hypervisor {
 public:
  // Opens `node` and checks that it speaks API version 12 and has what a microVM cannot do without
  // (in-kernel irqchip, irqfd, ioeventfd, user memory regions, immediate exit, MP state, ...).
  // Optional abilities: see CheckExtension().
  static absl::StatusOr<Hypervisor> Open(const std::string& node,
                                         KvmIoctls* ioctls = KvmIoctls::System());

  const std::string& node() const { return node_; }
  // KVM_CHECK_EXTENSION: 0 where absent, else 1 or a limit.
  int CheckExtension(int capability) const;
  int max_vcpus() const { return max_vcpus_; }

  // KVM_GET_SUPPORTED_CPUID: everything that this host and hypervisor can give a guest.
  absl::StatusOr<std::vector<kvm_cpuid_entry2>> SupportedCpuid() const;

  absl::StatusOr<VmFd> CreateVm() const;

 private:
  Hypervisor(std::string node, base::UniqueFd fd, KvmIoctls* ioctls)
      : node_(std::move(node)), fd_(std::move(fd)), ioctls_(ioctls) {}
  absl::Status CheckRequirements();

  std::string node_;
  base::UniqueFd fd_;
  KvmIoctls* ioctls_;
  size_t run_size_ = 0;  // of the shared struct kvm_run area
  int max_vcpus_ = 0;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_HYPERVISOR_HYPERVISOR_H_
