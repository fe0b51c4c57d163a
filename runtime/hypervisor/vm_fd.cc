// SPDX-License-Identifier: Apache-2.0
#include "runtime/hypervisor/vm_fd.h"

#include <cerrno>
#include <utility>

#include "base/status_macros.h"

namespace hearth {

absl::Status VmFd::Call(absl::string_view name, unsigned long request, void* arg,
                        absl::string_view hint) {
  const int result = ioctls_->Ioctl(fd_.get(), request, arg);
  if (result < 0) return base::ErrnoStatus("ioctl", name, -result, hint);
  return absl::OkStatus();
}

absl::Status VmFd::CreateIrqchip() {
  return Call("KVM_CREATE_IRQCHIP", KVM_CREATE_IRQCHIP, nullptr);
}

absl::Status VmFd::CreatePit() {
  kvm_pit_config config = {.flags = KVM_PIT_SPEAKER_DUMMY};
  return Call("KVM_CREATE_PIT2", KVM_CREATE_PIT2, &config);
}

absl::Status VmFd::SetTssAddress(GuestAddress address) {
  return Call("KVM_SET_TSS_ADDR", KVM_SET_TSS_ADDR, reinterpret_cast<void*>(address.value()));
}

absl::Status VmFd::SetMemory(const GuestMemory& memory, bool log_dirty_pages) {
  uint32_t slot = 0;
  for (const GuestMemory::Region& region : memory.regions()) {
    kvm_userspace_memory_region arg = {
        .slot = slot++,
        .flags = static_cast<uint32_t>(log_dirty_pages ? KVM_MEM_LOG_DIRTY_PAGES : 0),
        .guest_phys_addr = region.start.value(),
        .memory_size = region.size_bytes,
        .userspace_addr = reinterpret_cast<uintptr_t>(region.hva),
    };
    HEARTH_RETURN_IF_ERROR(Call("KVM_SET_USER_MEMORY_REGION", KVM_SET_USER_MEMORY_REGION, &arg),
                           region.size_bytes >> 20, " MiB at guest address ",
                           region.start.ToString());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> VmFd::GetDirtyLog(uint32_t slot, uint64_t slot_size_bytes) {
  std::vector<uint64_t> bitmap((slot_size_bytes / kPageSize + 63) / 64);
  kvm_dirty_log log = {.slot = slot};
  log.dirty_bitmap = bitmap.data();
  HEARTH_RETURN_IF_ERROR(Call("KVM_GET_DIRTY_LOG", KVM_GET_DIRTY_LOG, &log), "slot ", slot);
  return bitmap;
}

absl::Status VmFd::AddIrqfd(int eventfd, uint32_t gsi) {
  kvm_irqfd arg = {.fd = static_cast<uint32_t>(eventfd), .gsi = gsi};
  HEARTH_RETURN_IF_ERROR(Call("KVM_IRQFD", KVM_IRQFD, &arg), "GSI ", gsi);
  return absl::OkStatus();
}

absl::Status VmFd::RemoveIrqfd(int eventfd, uint32_t gsi) {
  kvm_irqfd arg = {
      .fd = static_cast<uint32_t>(eventfd), .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};
  HEARTH_RETURN_IF_ERROR(Call("KVM_IRQFD", KVM_IRQFD, &arg), "GSI ", gsi);
  return absl::OkStatus();
}

absl::Status VmFd::Ioeventfd(absl::string_view name, uint32_t flags, int eventfd, Space space,
                             uint64_t address, uint32_t size_bytes,
                             std::optional<uint64_t> datamatch) {
  kvm_ioeventfd arg = {
      .datamatch = datamatch.value_or(0), .addr = address, .len = size_bytes, .fd = eventfd};
  arg.flags = flags | (space == Space::kPio ? KVM_IOEVENTFD_FLAG_PIO : 0u) |
              (datamatch.has_value() ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u);
  HEARTH_RETURN_IF_ERROR(Call("KVM_IOEVENTFD", KVM_IOEVENTFD, &arg), name, " at 0x",
                         absl::Hex(address));
  return absl::OkStatus();
}

absl::Status VmFd::AddIoeventfd(int eventfd, Space space, uint64_t address, uint32_t size_bytes,
                                std::optional<uint64_t> datamatch) {
  return Ioeventfd("adding ioeventfd", 0, eventfd, space, address, size_bytes, datamatch);
}

absl::Status VmFd::RemoveIoeventfd(int eventfd, Space space, uint64_t address, uint32_t size_bytes,
                                   std::optional<uint64_t> datamatch) {
  return Ioeventfd("removing ioeventfd", KVM_IOEVENTFD_FLAG_DEASSIGN, eventfd, space, address,
                   size_bytes, datamatch);
}

absl::StatusOr<VcpuFd> VmFd::CreateVcpu(uint32_t id) {
  const int result =
      ioctls_->Ioctl(fd_.get(), KVM_CREATE_VCPU, reinterpret_cast<void*>(uintptr_t{id}));
  if (result < 0) {
    return base::ErrnoStatus("ioctl KVM_CREATE_VCPU", absl::StrCat(id), -result,
                             result == -EINVAL ? "lower vcpu_count" : "");
  }
  base::UniqueFd fd(result);
  void* const run = ioctls_->MapRun(fd.get(), run_size_);
  if (run == nullptr) return base::ErrnoStatus("mmap", absl::StrCat("kvm_run of vCPU ", id));
  return VcpuFd(id, std::move(fd), run, run_size_, ioctls_);
}

}  // namespace hearth
