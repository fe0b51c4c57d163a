// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/guest_loader.h"

#include <algorithm>

#include "base/status_macros.h"
#include "runtime/boot/acpi_tables.h"
#include "runtime/boot/bytes.h"
#include "runtime/boot/command_line.h"
#include "runtime/boot/entry_state.h"
#include "runtime/boot/initrd.h"
#include "runtime/boot/kernel_loader.h"
#include "runtime/boot/layout.h"
#include "runtime/boot/memory_map.h"
#include "runtime/boot/mptable.h"
#include "runtime/boot/pvh.h"
#include "runtime/boot/zero_page.h"

namespace hearth {
namespace {

using namespace boot;

absl::StatusOr<BootProtocol> ChooseProtocol(const LoadedKernel& kernel, BootProtocol wanted) {
  if (wanted == BootProtocol::kAuto)
    return kernel.linux64_entry ? BootProtocol::kLinux64 : BootProtocol::kPvh;
  if (wanted == BootProtocol::kLinux64 && !kernel.linux64_entry) {
    return absl::InvalidArgumentError("the kernel has no 64-bit Linux entry point; boot it by PVH");
  }
  if (wanted == BootProtocol::kPvh && !kernel.pvh_entry) {
    return absl::InvalidArgumentError(
        "the kernel has no PVH entry point; build it with CONFIG_PVH, or boot it by the 64-bit "
        "Linux protocol");
  }
  return wanted;
}

absl::Status WriteFirmwareTables(GuestMemory& memory, const GuestLoadOptions& options) {
  if (options.acpi) {
    const std::string tables =
        BuildAcpiTables({options.vcpu_count, options.mmio_devices}, layout::kAcpi);
    HEARTH_CHECK(tables.size() <= layout::kAcpiEnd - layout::kAcpi);
    HEARTH_RETURN_IF_ERROR(memory.Write("ACPI tables", layout::kAcpi, tables));
  }
  if (options.mptable) {
    const std::string table = BuildMpTable(options.vcpu_count, layout::kMpTable);
    HEARTH_CHECK(table.size() <= layout::kMpTableEnd - layout::kMpTable);
    HEARTH_RETURN_IF_ERROR(memory.Write("MP table", layout::kMpTable, table));
  }
  return absl::OkStatus();
}

absl::Status PrepareLinux64(GuestMemory& memory, const ZeroPageInput& input,
                            GuestAddress kernel_end) {
  HEARTH_RETURN_IF_ERROR(
      memory.Write("zero page", layout::kZeroPage, BytesOf(BuildZeroPage(input))));
  HEARTH_RETURN_IF_ERROR(memory.Write("GDT", layout::kGdt, BuildLinux64Gdt()));
  return memory.Write("page tables", layout::kPageTables, BuildIdentityPageTables(kernel_end));
}

absl::Status PreparePvh(GuestMemory& memory, const PvhInput& input) {
  HEARTH_RETURN_IF_ERROR(memory.Write("start info", layout::kPvhStartInfo,
                                      BuildPvhStartInfo(input, layout::kPvhStartInfo)));
  return memory.Write("GDT", layout::kGdt, BuildPvhGdt());
}

}  // namespace

void GuestEntry::SetSregs(kvm_sregs& sregs) const {
  protocol == BootProtocol::kPvh ? SetPvhSregs(sregs) : SetLinux64Sregs(sregs);
}

absl::StatusOr<GuestEntry> LoadGuest(GuestMemory& memory, const GuestLoadOptions& options) {
  if (options.vcpu_count < 1 || options.vcpu_count > layout::kMaxVcpus) {
    return absl::InvalidArgumentError(
        absl::StrCat("vcpu_count of ", options.vcpu_count, "; give 1 to ", layout::kMaxVcpus));
  }
  HEARTH_ASSIGN_OR_RETURN(const LoadedKernel kernel, LoadKernel(memory, options.kernel_path));
  HEARTH_ASSIGN_OR_RETURN(const BootProtocol protocol, ChooseProtocol(kernel, options.protocol),
                          "kernel_image_path ", options.kernel_path);
  HEARTH_RETURN_IF_ERROR(
      WriteCommandLine(memory, options.command_line,
                       kernel.header ? kernel.header->cmdline_size : kDefaultCommandLineLimit));
  Initrd initrd;
  if (!options.initrd_path.empty()) {
    HEARTH_ASSIGN_OR_RETURN(
        initrd, LoadInitrd(memory, options.initrd_path, kernel.end,
                           kernel.header ? kernel.header->initrd_addr_max : kDefaultInitrdMax));
  }
  HEARTH_RETURN_IF_ERROR(WriteFirmwareTables(memory, options));

  const std::optional<GuestAddress> rsdp =
      options.acpi ? std::optional(layout::kAcpi) : std::nullopt;
  const std::vector<MemoryRange> map = BuildMemoryMap(memory.regions());
  GuestEntry entry{.protocol = protocol,
                   .regs = {},
                   .kernel_bytes_mapped = kernel.loaded.mapped,
                   .kernel_bytes_copied = kernel.loaded.copied};
  if (protocol == BootProtocol::kPvh) {
    HEARTH_RETURN_IF_ERROR(PreparePvh(memory, {.initrd = initrd, .rsdp = rsdp, .memory_map = map}));
    entry.regs = PvhRegs(*kernel.pvh_entry);
  } else {
    const ZeroPageInput zero_page{
        .kernel_header = kernel.header, .initrd = initrd, .rsdp = rsdp, .memory_map = map};
    HEARTH_RETURN_IF_ERROR(PrepareLinux64(memory, zero_page, kernel.end));
    entry.regs = Linux64Regs(*kernel.linux64_entry);
  }
  return entry;
}

}  // namespace hearth
