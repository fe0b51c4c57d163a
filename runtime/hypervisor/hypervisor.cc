// SPDX-License-Identifier: Apache-2.0
#include "runtime/hypervisor/hypervisor.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "runtime/hypervisor/kvm_list.h"

namespace hearth {
namespace {

struct Requirement {
  int capability;
  const char* name;
};

// Without any of these no microVM of ours can run.
constexpr Requirement kRequirements[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

absl::string_view OpenHint(int error) {
  switch (error) {
    case ENOENT:
      return "load a hypervisor module (modprobe kvm-amd or kvm-intel), enable virtualization in "
             "the firmware, or name "
             "another node with --kvm-node";
    case EACCES:
    case EPERM:
      return "add this user to the group that owns the node (often kvm), or have the jailer make "
             "the node";
    case ENODEV:
    case ENXIO:
      return "the node exists but its module is not loaded: modprobe kvm-amd or kvm-intel";
    default:
      return "";
  }
}

void* AsArg(unsigned long value) { return reinterpret_cast<void*>(value); }

}  // namespace

absl::StatusOr<Hypervisor> Hypervisor::Open(const std::string& node, KvmIoctls* ioctls) {
  const int fd = ioctls->Open(node);
  if (fd < 0) return base::ErrnoStatus("open", node, -fd, OpenHint(-fd));
  Hypervisor hypervisor(node, base::UniqueFd(fd), ioctls);
  HEARTH_RETURN_IF_ERROR(hypervisor.CheckRequirements(), node);
  return hypervisor;
}

absl::Status Hypervisor::CheckRequirements() {
  const int version = ioctls_->Ioctl(fd_.get(), KVM_GET_API_VERSION, nullptr);
  if (version == -ENOTTY)
    return absl::InvalidArgumentError("not a KVM node; name one with --kvm-node");
  if (version != KVM_API_VERSION) {
    return absl::UnimplementedError(
        absl::StrCat("speaks KVM API version ", version, ", Hearth needs ", KVM_API_VERSION));
  }
  std::vector<absl::string_view> missing;
  for (const Requirement& requirement : kRequirements) {
    if (CheckExtension(requirement.capability) <= 0) missing.push_back(requirement.name);
  }
  if (!missing.empty()) {
    return absl::UnimplementedError(
        absl::StrCat("lacks ", absl::StrJoin(missing, ", "),
                     "; use a host kernel of 4.12 or later, or its full KVM"));
  }
  const int run_size = ioctls_->Ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE, nullptr);
  if (run_size < static_cast<int>(sizeof(kvm_run))) {
    return base::ErrnoStatus("ioctl KVM_GET_VCPU_MMAP_SIZE", "", run_size < 0 ? -run_size : EINVAL);
  }
  run_size_ = static_cast<size_t>(run_size);
  max_vcpus_ = CheckExtension(KVM_CAP_MAX_VCPUS);
  if (max_vcpus_ <= 0) max_vcpus_ = CheckExtension(KVM_CAP_NR_VCPUS);
  if (max_vcpus_ <= 0) max_vcpus_ = 4;  // what the KVM API documentation says to assume
  return absl::OkStatus();
}

int Hypervisor::CheckExtension(int capability) const {
  const int result =
      ioctls_->Ioctl(fd_.get(), KVM_CHECK_EXTENSION, AsArg(static_cast<unsigned long>(capability)));
  return result < 0 ? 0 : result;
}

absl::StatusOr<std::vector<kvm_cpuid_entry2>> Hypervisor::SupportedCpuid() const {
  // E2BIG says "more room": KVM has some 50 to 100 entries today. 4096 would be no CPU that we
  // know.
  for (uint32_t room = 128; room <= 4096; room *= 2) {
    KvmList<kvm_cpuid_entry2> list(room);
    const int result = ioctls_->Ioctl(fd_.get(), kKvmGetSupportedCpuid, list.arg());
    if (result == -E2BIG) continue;
    if (result < 0) return base::ErrnoStatus("ioctl KVM_GET_SUPPORTED_CPUID", node_, -result);
    return list.Entries();
  }
  return absl::InternalError(
      absl::StrCat(node_, ": KVM_GET_SUPPORTED_CPUID wants more than 4096 entries"));
}

absl::StatusOr<VmFd> Hypervisor::CreateVm() const {
  int fd;
  // The kernel may be interrupted by a signal while it waits for a lock: try again, as the API
  // asks.
  do {
    fd = ioctls_->Ioctl(fd_.get(), KVM_CREATE_VM, nullptr);
  } while (fd == -EINTR);
  if (fd < 0) {
    return base::ErrnoStatus(
        "ioctl KVM_CREATE_VM", node_, -fd,
        fd == -EBUSY ? "another hypervisor module holds the CPU's virtualization" : "");
  }
  return VmFd(base::UniqueFd(fd), run_size_, ioctls_);
}

}  // namespace hearth
