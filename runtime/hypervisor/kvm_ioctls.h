// SPDX-License-Identifier: Apache-2.0
// KvmIoctls: the system calls that reach a KVM-ABI node, as an interface, so that a scripted fake
// can stand in for the kernel in unit tests (kvm_ioctls_fake.h). Stateless; thread-safe. Source of
// the ABI: Linux Documentation "The Definitive KVM (Kernel-based Virtual Machine) API
// Documentation".
#ifndef HEARTH_RUNTIME_HYPERVISOR_KVM_IOCTLS_H_
#define HEARTH_RUNTIME_HYPERVISOR_KVM_IOCTLS_H_

#include <cstddef>
#include <string>

namespace hearth {

class KvmIoctls {
 public:
  virtual ~KvmIoctls() = default;
  // open(2) of the node; a file descriptor or -errno.
  virtual int Open(const std::string& path) = 0;
  // ioctl(2); its result, or -errno. `arg` is a pointer or a value, as the request has it.
  virtual int Ioctl(int fd, unsigned long request, void* arg) = 0;
  // Maps `size` bytes of the vCPU's struct kvm_run; nullptr (and errno) on failure.
  virtual void* MapRun(int vcpu_fd, size_t size) = 0;
  virtual void UnmapRun(void* run, size_t size) = 0;

  // The running kernel. Lives for ever.
  static KvmIoctls* System();
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_HYPERVISOR_KVM_IOCTLS_H_
