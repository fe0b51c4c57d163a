// SPDX-License-Identifier: Apache-2.0
// Where everything that the VMM writes lies in guest-physical memory at the first instruction.
//
//   0x00000000  real-mode vectors, BIOS data area: left zero (Linux puts its trampolines here)
//   0x00001000  kGdt            descriptor table, one page; no IDT: interrupts are off
//   0x00002000  kPvhStartInfo   hvm_start_info, module list, memory map (PVH only)
//   0x00007000  kZeroPage       struct boot_params (Linux 64-bit protocol only)
//   0x00009000  kBootStackTop   grows down; Linux brings its own stack, small guests use this one
//   0x00009000  kPageTables     PML4, PDPT, then a page directory a GiB (Linux 64-bit only)
//   0x00020000  kCommandLine    NUL-terminated, at most 64 KiB
//   0x0009fc00  kEbda           reserved in the memory map as on a PC; empty
//   0x000a0000  (nothing)       a PC has video memory and option ROMs here
//   0x000e0000  kAcpi           RSDP first, so that the scan of the BIOS area finds it; other
//   tables 0x000f0000  kMpTable        MP floating pointer and configuration table, likewise
//   scanned for 0x00100000  kHighMemory     the kernel's segments, where they are linked to
//   ...                         initrd: page-aligned, as high in low memory as the kernel takes it
//   0xd0000000  kMmioHoleStart  virtio-mmio slots, IOAPIC, LAPIC (runtime/memory/guest_memory.h)
//   0x100000000 kMmioHoleEnd    RAM that did not fit below the hole
//
// Everything below 1 MiB is the VMM's before the kernel runs and the kernel's afterwards, except
// the two reserved ranges, which the memory map tells it to leave alone.
#ifndef HEARTH_RUNTIME_BOOT_LAYOUT_H_
#define HEARTH_RUNTIME_BOOT_LAYOUT_H_

#include <cstdint>

#include "runtime/memory/guest_address.h"

namespace hearth::layout {

inline constexpr GuestAddress kGdt(0x1000);
inline constexpr GuestAddress kPvhStartInfo(0x2000);
inline constexpr GuestAddress kZeroPage(0x7000);
inline constexpr GuestAddress kBootStackTop(0x9000);
inline constexpr GuestAddress kPageTables(0x9000);  // 6 pages at most
inline constexpr GuestAddress kCommandLine(0x20000);
inline constexpr uint64_t kCommandLineMaxBytes = 0x10000;  // with the NUL
inline constexpr GuestAddress kEbda(0x9fc00);
inline constexpr GuestAddress kEbdaEnd(0xa0000);
inline constexpr GuestAddress kAcpi(0xe0000);
inline constexpr GuestAddress kAcpiEnd(0xf0000);
inline constexpr GuestAddress kMpTable(0xf0000);
inline constexpr GuestAddress kMpTableEnd(0x100000);
inline constexpr GuestAddress kHighMemory(0x100000);

// Interrupt controllers, where every x86 system and KVM have them.
inline constexpr uint32_t kIoApicBase = 0xfec00000;
inline constexpr uint32_t kLocalApicBase = 0xfee00000;
inline constexpr uint32_t kIoApicPins = 24;
// vCPU i has APIC id i; the IOAPIC's id follows the largest of them. The hypervisor does not care.
inline constexpr uint32_t kMaxVcpus = 64;

// Ports and interrupts of the platform devices, as the tables tell them (devices/platform).
inline constexpr uint16_t kSerialPort = 0x3f8;
inline constexpr uint32_t kSerialGsi = 4;
inline constexpr uint16_t kI8042DataPort = 0x60;
inline constexpr uint16_t kI8042CommandPort = 0x64;
inline constexpr uint32_t kI8042Gsi = 1;
inline constexpr uint8_t kI8042ResetCommand = 0xfe;
// ACPI's sleep control and status registers, a byte each. A guest powers off by writing
// SLP_EN | kSleepTypeS5 << 2 = 0x34 to the control register. Before it, it clears WAK_STS (writes
// 0x80) in the status register; afterwards it polls that until WAK_STS is set, for ever.
inline constexpr uint16_t kSleepControlPort = 0x600;
inline constexpr uint16_t kSleepStatusPort = 0x601;
inline constexpr uint8_t kSleepTypeS5 = 5;
inline constexpr uint8_t kSleepEnable = 0x20;

}  // namespace hearth::layout

#endif  // HEARTH_RUNTIME_BOOT_LAYOUT_H_
