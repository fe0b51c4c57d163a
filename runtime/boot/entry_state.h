// SPDX-License-Identifier: Apache-2.0
// What the boot vCPU starts with: registers, descriptor table and, for 64-bit mode, page tables.
//
// Both protocols want interrupts off, flat segments with the selectors of the GDT at layout::kGdt,
// and no IDT. The Linux 64-bit protocol starts in long mode with everything that it touches early
// mapped one to one; PVH in 32-bit protected mode without paging. Sources: Linux Documentation "The
// Linux/x86 Boot Protocol", 64-bit Boot Protocol; "x86/HVM direct boot ABI"; Intel SDM volume 3,
// Segment Descriptors, and 4-Level Paging. Pure; any thread.
#ifndef HEARTH_RUNTIME_BOOT_ENTRY_STATE_H_
#define HEARTH_RUNTIME_BOOT_ENTRY_STATE_H_

#include <linux/kvm.h>

#include <string>

#include "runtime/memory/guest_address.h"

namespace hearth::boot {

// The GDT for layout::kGdt.
std::string BuildLinux64Gdt();
std::string BuildPvhGdt();

// Page tables for layout::kPageTables that map [0, mapped_end), rounded up to whole GiB and to 4
// GiB at most, one to one in 2 MiB pages (every 64-bit CPU has these; 1 GiB pages are optional).
std::string BuildIdentityPageTables(GuestAddress mapped_end);

// RSI holds the zero page.
kvm_regs Linux64Regs(GuestAddress entry);
// EBX holds the start info.
kvm_regs PvhRegs(GuestAddress entry);

// Set segments, descriptor tables, CR0, CR3, CR4 and EFER; keep the rest of `sregs`.
void SetLinux64Sregs(kvm_sregs& sregs);
void SetPvhSregs(kvm_sregs& sregs);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_ENTRY_STATE_H_
