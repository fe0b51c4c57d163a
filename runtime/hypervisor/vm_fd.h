// SPDX-License-Identifier: Apache-2.0
// VmFd: one VM of the hypervisor: its memory slots, interrupt controllers, event descriptors and
// vCPUs.
//
// Owns the VM's file descriptor; vCPUs keep their VM alive in the kernel by themselves. Move-only.
// Methods are for the main thread, but those of the data path (irqfd, ioeventfd) may be called by
// any.
#ifndef HEARTH_RUNTIME_HYPERVISOR_VM_FD_H_
#define HEARTH_RUNTIME_HYPERVISOR_VM_FD_H_

#include <linux/kvm.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "runtime/hypervisor/kvm_ioctls.h"
#include "runtime/hypervisor/vcpu_fd.h"
#include "runtime/memory/guest_memory.h"

namespace hearth {

class VmFd {
 public:
  enum class Space { kPio, kMmio };

  // KVM_CREATE_IRQCHIP: PIC, IOAPIC and a LAPIC a vCPU, in the kernel. Before the first vCPU.
  absl::Status CreateIrqchip();
  // KVM_CREATE_PIT2 with the speaker port answered in the kernel too.
  absl::Status CreatePit();
  // KVM_SET_TSS_ADDR: three pages that VT-x without unrestricted guest needs; harmless elsewhere.
  absl::Status SetTssAddress(GuestAddress address);

  // One slot a region of `memory`, slots numbered from 0, with dirty logging if asked. `memory`
  // must outlive the VM.
  absl::Status SetMemory(const GuestMemory& memory, bool log_dirty_pages);
  // KVM_GET_DIRTY_LOG of a slot: one bit a page, cleared by reading.
  absl::StatusOr<std::vector<uint64_t>> GetDirtyLog(uint32_t slot, uint64_t slot_size_bytes);

  // A write to `eventfd` raises `gsi` once (edge). The kernel keeps its own reference to the
  // eventfd.
  absl::Status AddIrqfd(int eventfd, uint32_t gsi);
  absl::Status RemoveIrqfd(int eventfd, uint32_t gsi);
  // A guest write of `size_bytes` (0: any) at `address`, of `datamatch` where given, signals
  // `eventfd` instead of an exit.
  absl::Status AddIoeventfd(int eventfd, Space space, uint64_t address, uint32_t size_bytes,
                            std::optional<uint64_t> datamatch);
  absl::Status RemoveIoeventfd(int eventfd, Space space, uint64_t address, uint32_t size_bytes,
                               std::optional<uint64_t> datamatch);

  absl::StatusOr<VcpuFd> CreateVcpu(uint32_t id);

 private:
  friend class Hypervisor;
  VmFd(base::UniqueFd fd, size_t run_size, KvmIoctls* ioctls)
      : fd_(std::move(fd)), run_size_(run_size), ioctls_(ioctls) {}
  absl::Status Call(absl::string_view name, unsigned long request, void* arg,
                    absl::string_view hint = "");
  absl::Status Ioeventfd(absl::string_view name, uint32_t flags, int eventfd, Space space,
                         uint64_t address, uint32_t size_bytes, std::optional<uint64_t> datamatch);

  base::UniqueFd fd_;
  size_t run_size_;
  KvmIoctls* ioctls_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_HYPERVISOR_VM_FD_H_
