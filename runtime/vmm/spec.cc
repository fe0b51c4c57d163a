// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/spec.h"

#include <algorithm>

namespace hearth {
namespace {

GuestMemory::Pages PagesOf(MachineConfig::HugePages huge_pages) {
  switch (huge_pages) {
    case MachineConfig::HUGE_PAGES_2M:
      return GuestMemory::Pages::kHugetlb2M;
    case MachineConfig::HUGE_PAGES_TRANSPARENT:
      return GuestMemory::Pages::kTransparentHuge;
    default:
      return GuestMemory::Pages::k4K;
  }
}

BootProtocol ProtocolOf(BootSource::BootProtocol protocol) {
  switch (protocol) {
    case BootSource::BOOT_PROTOCOL_LINUX64:
      return BootProtocol::kLinux64;
    case BootSource::BOOT_PROTOCOL_PVH:
      return BootProtocol::kPvh;
    default:
      return BootProtocol::kAuto;
  }
}

}  // namespace

absl::StatusOr<MachineSpec> SpecFromConfig(const VmConfig& config) {
  if (!config.boot_source.has_value()) {
    return absl::FailedPreconditionError(
        "Cannot start microvm without kernel configuration: PUT /boot-source with "
        "kernel_image_path first.");
  }
  MachineSpec spec;
  spec.memory.size_bytes = uint64_t{config.machine.mem_size_mib()} << 20;
  spec.memory.pages = PagesOf(config.machine.huge_pages());
  spec.memory.track_dirty = config.machine.track_dirty_pages();
  spec.log_dirty_pages = config.machine.track_dirty_pages();
  spec.cpus = {.vcpu_count = config.machine.vcpu_count(), .smt = config.machine.smt()};

  const BootSource& boot = *config.boot_source;
  spec.load.kernel_path = boot.kernel_image_path();
  spec.load.initrd_path = boot.initrd_path();
  spec.load.command_line = boot.has_boot_args()
                               ? boot.boot_args()
                               : std::string(kDefaultBootArgs.data(), kDefaultBootArgs.size());
  spec.load.protocol = ProtocolOf(boot.boot_protocol());
  spec.load.vcpu_count = config.machine.vcpu_count();

  if (config.serial.has_value()) {
    spec.platform.serial_out_path = config.serial->serial_out_path();
    if (config.serial->has_rate_limiter()) {
      const TokenBucketConfig& limit = config.serial->rate_limiter();
      spec.platform.serial_rate_limit = {.size = limit.size(),
                                         .one_time_burst = limit.one_time_burst(),
                                         .refill_time_ms = limit.refill_time()};
    }
  }
  spec.io_threads = config.machine.io_threads();
  return spec;
}

void AddKernelArguments(absl::string_view arguments, std::string* command_line) {
  // What follows " -- " is for init.
  const size_t init_arguments = command_line->find(" -- ");
  command_line->insert(std::min(init_arguments, command_line->size()), arguments.data(),
                       arguments.size());
}

}  // namespace hearth
