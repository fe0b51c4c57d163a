// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/mptable.h"

#include <gtest/gtest.h>

#include <map>

#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

TEST(MpTable, PointerLeadsToATableWithGoodChecksums) {
  for (const uint32_t vcpus : {1u, 64u}) {
    const std::string blob = BuildMpTable(vcpus, layout::kMpTable);
    EXPECT_LE(blob.size(), layout::kMpTableEnd - layout::kMpTable);
    const absl::string_view pointer = absl::string_view(blob).substr(0, 16);
    EXPECT_EQ(pointer.substr(0, 4), "_MP_");
    EXPECT_EQ(ChecksumOf(pointer), 0);
    EXPECT_EQ(*ReadFrom<uint32_t>(blob, 4), layout::kMpTable.value() + 16);
    const absl::string_view table = absl::string_view(blob).substr(16);
    EXPECT_EQ(table.substr(0, 4), "PCMP");
    EXPECT_EQ(*ReadFrom<uint16_t>(table, 4), table.size());
    EXPECT_EQ(ChecksumOf(table), 0);
  }
}

TEST(MpTable, EntriesAreProcessorsBusIoApicAndIdentityRouting) {
  const std::string blob = BuildMpTable(2, layout::kMpTable);
  const std::string entries = blob.substr(16 + 44);
  std::map<int, int> count;
  std::map<int, int> pin_of_irq;
  uint64_t at = 0;
  while (at < entries.size()) {
    const int type = entries[at];
    ++count[type];
    if (type == 0) {
      EXPECT_EQ(entries[at + 1], count[0] - 1) << "APIC id";
      EXPECT_EQ(entries[at + 3], count[0] == 1 ? 3 : 1) << "flags";
    } else if (type == 3) {
      EXPECT_EQ(entries[at + 6], 2) << "the IOAPIC's id";
      pin_of_irq[entries[at + 5]] = entries[at + 7];
    }
    at += type == 0 ? 20 : 8;
  }
  EXPECT_EQ(at, entries.size());
  EXPECT_EQ(*ReadFrom<uint16_t>(blob, 16 + 34),
            count[0] + count[1] + count[2] + count[3] + count[4]);
  EXPECT_EQ(count, (std::map<int, int>{{0, 2}, {1, 1}, {2, 1}, {3, 23}, {4, 2}}));
  for (const auto& [irq, pin] : pin_of_irq) EXPECT_EQ(irq, pin);
  EXPECT_EQ(pin_of_irq.count(2), 0u) << "the cascade";
}

}  // namespace
}  // namespace hearth::boot
