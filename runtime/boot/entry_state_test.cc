// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/entry_state.h"

#include <gtest/gtest.h>

#include <optional>

#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

// What the CPU would translate `linear` to.
std::optional<uint64_t> Translate(const std::string& tables, uint64_t linear) {
  uint64_t table = layout::kPageTables.value();
  for (const int shift : {39, 30, 21}) {
    const uint64_t at = table - layout::kPageTables.value() + (linear >> shift & 511) * 8;
    const uint64_t entry = *ReadFrom<uint64_t>(tables, at);
    if ((entry & 1) == 0) return std::nullopt;
    table = entry & ~uint64_t{0xfff};
    if ((entry & 0x80) != 0) return table + (linear & ((uint64_t{1} << shift) - 1));
  }
  return std::nullopt;
}

TEST(EntryState, IdentityMapCoversTheKernelInWholeGib) {
  const std::string small = BuildIdentityPageTables(GuestAddress(0x2000000));
  EXPECT_EQ(small.size(), 3 * kPageSize);
  for (const uint64_t address : {uint64_t{0}, layout::kZeroPage.value(), uint64_t{0x3fffffff}}) {
    EXPECT_EQ(Translate(small, address), address);
  }
  EXPECT_EQ(Translate(small, 0x40000000), std::nullopt);
  const std::string large = BuildIdentityPageTables(GuestAddress(~0ull >> 1));
  EXPECT_EQ(large.size(), 6 * kPageSize);
  EXPECT_LE(layout::kPageTables + large.size(), layout::kCommandLine);
  EXPECT_EQ(Translate(large, 0xfffff123), 0xfffff123);
  EXPECT_EQ(Translate(large, 0x100000000), std::nullopt);
}

void ExpectSegmentMatchesGdt(const kvm_segment& segment, const std::string& gdt) {
  const uint64_t descriptor = *ReadFrom<uint64_t>(gdt, segment.selector);
  EXPECT_EQ(segment.type, descriptor >> 40 & 0xf);
  EXPECT_EQ(segment.l, descriptor >> 53 & 1);
  EXPECT_EQ(segment.db, descriptor >> 54 & 1);
  EXPECT_EQ(segment.present, 1);
  EXPECT_EQ(segment.base, 0u);
}

TEST(EntryState, Linux64IsLongModeWithTheProtocolsSelectors) {
  kvm_sregs sregs{};
  sregs.apic_base = 0xfee00900;
  SetLinux64Sregs(sregs);
  EXPECT_EQ(sregs.cs.selector, 0x10);
  EXPECT_EQ(sregs.ds.selector, 0x18);
  EXPECT_EQ(sregs.ss.selector, 0x18);
  EXPECT_EQ(sregs.cs.l, 1);
  EXPECT_EQ(sregs.cs.db, 0);
  EXPECT_EQ(sregs.cs.limit, 0xffffffffu);
  EXPECT_EQ(sregs.tr.type, 0xb);
  EXPECT_EQ(sregs.tr.limit, 0x67u);
  for (const kvm_segment& segment : {sregs.cs, sregs.ds, sregs.tr}) {
    ExpectSegmentMatchesGdt(segment, BuildLinux64Gdt());
  }
  EXPECT_EQ(sregs.cr0, 0x80000031u);
  EXPECT_EQ(sregs.cr4, 0x20u);
  EXPECT_EQ(sregs.efer, 0x500u);
  EXPECT_EQ(sregs.cr3, layout::kPageTables.value());
  EXPECT_EQ(sregs.gdt.base, layout::kGdt.value());
  EXPECT_EQ(sregs.gdt.limit + 1u, BuildLinux64Gdt().size());
  EXPECT_EQ(sregs.apic_base, 0xfee00900u) << "what is not ours stays";
  const kvm_regs regs = Linux64Regs(GuestAddress(0x1000000));
  EXPECT_EQ(regs.rip, 0x1000000u);
  EXPECT_EQ(regs.rsi, layout::kZeroPage.value());
  EXPECT_EQ(regs.rflags, 2u);
}

TEST(EntryState, PvhIsFlatProtectedModeWithoutPaging) {
  kvm_sregs sregs{};
  sregs.efer = 0x500;
  sregs.cr4 = 0x20;
  SetPvhSregs(sregs);
  EXPECT_EQ(sregs.cr0, 0x11u);
  EXPECT_EQ(sregs.cr4, 0u);
  EXPECT_EQ(sregs.efer, 0u);
  EXPECT_EQ(sregs.cs.l, 0);
  EXPECT_EQ(sregs.cs.db, 1);
  for (const kvm_segment& segment : {sregs.cs, sregs.ds, sregs.es, sregs.ss, sregs.tr}) {
    ExpectSegmentMatchesGdt(segment, BuildPvhGdt());
  }
  EXPECT_EQ(PvhRegs(GuestAddress(0x1000)).rbx, layout::kPvhStartInfo.value());
}

}  // namespace
}  // namespace hearth::boot
