// SPDX-License-Identifier: Apache-2.0
// The zero page: struct boot_params, by which the 64-bit Linux boot protocol tells the kernel what
// the machine has. Source: Linux Documentation "Zero Page" and "The Linux/x86 Boot Protocol". Pure;
// any thread.
#ifndef HEARTH_RUNTIME_BOOT_ZERO_PAGE_H_
#define HEARTH_RUNTIME_BOOT_ZERO_PAGE_H_

#include <asm/bootparam.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/boot/initrd.h"
#include "runtime/boot/memory_map.h"
#include "runtime/memory/guest_address.h"

namespace hearth::boot {

struct ZeroPageInput {
  std::optional<setup_header> kernel_header;  // a bzImage's own; a vmlinux has none
  Initrd initrd;
  std::optional<GuestAddress> rsdp;
  std::vector<MemoryRange> memory_map;  // at most E820_MAX_ENTRIES_ZEROPAGE
};

// The command line is at layout::kCommandLine.
boot_params BuildZeroPage(const ZeroPageInput& input);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_ZERO_PAGE_H_
