// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/zero_page.h"

#include <algorithm>

#include "base/status_macros.h"
#include "runtime/boot/command_line.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

// What a bzImage's header would say of a vmlinux.
setup_header DefaultHeader() {
  setup_header header{};
  header.boot_flag = 0xaa55;
  header.header = 0x53726448;  // "HdrS"
  header.version = 0x020f;
  header.loadflags = LOADED_HIGH;
  header.initrd_addr_max = static_cast<uint32_t>(kDefaultInitrdMax);
  header.kernel_alignment = 0x200000;
  header.cmdline_size = static_cast<uint32_t>(kDefaultCommandLineLimit);
  return header;
}

}  // namespace

boot_params BuildZeroPage(const ZeroPageInput& input) {
  boot_params params{};
  params.hdr = input.kernel_header.value_or(DefaultHeader());
  params.hdr.type_of_loader = 0xff;  // a loader without an assigned number
  params.hdr.cmd_line_ptr = static_cast<uint32_t>(layout::kCommandLine.value());
  // Below 4 GiB, always: no need of the ext_ fields.
  params.hdr.ramdisk_image = static_cast<uint32_t>(input.initrd.start.value());
  params.hdr.ramdisk_size = static_cast<uint32_t>(input.initrd.size_bytes);
  params.hdr.setup_data = 0;
  // A kernel that looks for the RSDP in the BIOS area finds it as well; one that was told need not
  // look.
  if (input.rsdp) params.acpi_rsdp_addr = input.rsdp->value();
  HEARTH_CHECK(input.memory_map.size() <= E820_MAX_ENTRIES_ZEROPAGE);
  params.e820_entries = static_cast<uint8_t>(input.memory_map.size());
  std::transform(input.memory_map.begin(), input.memory_map.end(), params.e820_table,
                 [](const MemoryRange& range) {
                   return boot_e820_entry{range.start.value(), range.size_bytes,
                                          static_cast<uint32_t>(range.type)};
                 });
  return params;
}

}  // namespace hearth::boot
