// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/entry_state.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

// Flat descriptors: base 0, limit 4 GiB, present, accessed (the CPU would write the bit otherwise).
constexpr uint64_t kCode64 = 0x00af9b000000ffff;
constexpr uint64_t kCode32 = 0x00cf9b000000ffff;
constexpr uint64_t kData = 0x00cf93000000ffff;
// A busy TSS at 0 with the smallest limit: VM entry demands one, nothing uses it.
constexpr uint64_t kTss = 0x00008b0000000067;

// The selectors are the Linux protocol's __BOOT_CS and __BOOT_DS; PVH leaves the choice to us.
constexpr uint16_t kCodeSelector = 0x10;
constexpr uint16_t kDataSelector = 0x18;
constexpr uint16_t kTssSelector = 0x20;
// In long mode a TSS descriptor takes two entries.
using Gdt = std::array<uint64_t, 6>;

constexpr uint64_t kCr0ProtectedMode = 1u << 0;
constexpr uint64_t kCr0ExtensionType = 1u << 4;
constexpr uint64_t kCr0NumericError = 1u << 5;
constexpr uint64_t kCr0Paging = 1u << 31;
constexpr uint64_t kCr4PhysicalAddressExtension = 1u << 5;
constexpr uint64_t kEferLongModeEnable = 1u << 8;
constexpr uint64_t kEferLongModeActive = 1u << 10;
constexpr uint64_t kRflagsAlwaysSet = 1u << 1;

constexpr uint64_t kPagePresentWritable = 0x3;
constexpr uint64_t kPageLarge = 1u << 7;
constexpr uint64_t kGib = 1u << 30;

std::string GdtWithCode(uint64_t code) { return BytesOf(Gdt{0, 0, code, kData, kTss, 0}); }

kvm_segment Segment(uint16_t selector, uint64_t descriptor) {
  const auto bits = [&](int from, int count) {
    return (descriptor >> from) & ((uint64_t{1} << count) - 1);
  };
  kvm_segment segment{};
  segment.base = bits(16, 24) | bits(56, 8) << 24;
  segment.limit = static_cast<uint32_t>(bits(0, 16) | bits(48, 4) << 16);
  segment.selector = selector;
  segment.type = static_cast<uint8_t>(bits(40, 4));
  segment.s = static_cast<uint8_t>(bits(44, 1));
  segment.dpl = static_cast<uint8_t>(bits(45, 2));
  segment.present = static_cast<uint8_t>(bits(47, 1));
  segment.avl = static_cast<uint8_t>(bits(52, 1));
  segment.l = static_cast<uint8_t>(bits(53, 1));
  segment.db = static_cast<uint8_t>(bits(54, 1));
  segment.g = static_cast<uint8_t>(bits(55, 1));
  // The descriptor counts pages, KVM bytes.
  if (segment.g != 0) segment.limit = segment.limit << 12 | 0xfff;
  return segment;
}

void SetSegments(kvm_sregs& sregs, uint64_t code) {
  sregs.cs = Segment(kCodeSelector, code);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = Segment(kDataSelector, kData);
  sregs.tr = Segment(kTssSelector, kTss);
  sregs.ldt = {};
  sregs.ldt.unusable = 1;
  sregs.gdt = {};
  sregs.gdt.base = layout::kGdt.value();
  sregs.gdt.limit = sizeof(Gdt) - 1;
  sregs.idt = {};
}

}  // namespace

std::string BuildLinux64Gdt() { return GdtWithCode(kCode64); }
std::string BuildPvhGdt() { return GdtWithCode(kCode32); }

std::string BuildIdentityPageTables(GuestAddress mapped_end) {
  const uint64_t gibs = std::clamp<uint64_t>(AlignUp(mapped_end.value(), kGib) / kGib, 1, 4);
  const uint64_t pdpt_gpa = layout::kPageTables.value() + kPageSize;
  const uint64_t first_directory_gpa = pdpt_gpa + kPageSize;
  using Table = std::array<uint64_t, 512>;
  Table pml4{};
  pml4[0] = pdpt_gpa | kPagePresentWritable;
  Table pdpt{};
  std::string directories;
  for (uint64_t gib = 0; gib < gibs; ++gib) {
    pdpt[gib] = (first_directory_gpa + gib * kPageSize) | kPagePresentWritable;
    Table directory;
    for (uint64_t i = 0; i < directory.size(); ++i) {
      directory[i] = (gib * kGib + i * kHugePageSize) | kPagePresentWritable | kPageLarge;
    }
    directories += BytesOf(directory);
  }
  return BytesOf(pml4) + BytesOf(pdpt) + directories;
}

kvm_regs Linux64Regs(GuestAddress entry) {
  kvm_regs regs{};
  regs.rflags = kRflagsAlwaysSet;
  regs.rip = entry.value();
  regs.rsi = layout::kZeroPage.value();
  regs.rsp = regs.rbp = layout::kBootStackTop.value();
  return regs;
}

kvm_regs PvhRegs(GuestAddress entry) {
  kvm_regs regs{};
  regs.rflags = kRflagsAlwaysSet;
  regs.rip = entry.value();
  regs.rbx = layout::kPvhStartInfo.value();
  regs.rsp = regs.rbp = layout::kBootStackTop.value();
  return regs;
}

void SetLinux64Sregs(kvm_sregs& sregs) {
  SetSegments(sregs, kCode64);
  sregs.cr0 = kCr0ProtectedMode | kCr0ExtensionType | kCr0NumericError | kCr0Paging;
  sregs.cr3 = layout::kPageTables.value();
  sregs.cr4 = kCr4PhysicalAddressExtension;
  sregs.efer = kEferLongModeEnable | kEferLongModeActive;
}

void SetPvhSregs(kvm_sregs& sregs) {
  SetSegments(sregs, kCode32);
  sregs.cr0 = kCr0ProtectedMode | kCr0ExtensionType;
  sregs.cr3 = 0;
  sregs.cr4 = 0;
  sregs.efer = 0;
}

}  // namespace hearth::boot
