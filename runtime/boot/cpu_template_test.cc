// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/cpu_template.h"

#include <gtest/gtest.h>

#include <optional>

namespace hearth {
namespace {

std::optional<kvm_cpuid_entry2> Find(absl::Span<const kvm_cpuid_entry2> entries, uint32_t function,
                                     uint32_t index = 0) {
  for (const kvm_cpuid_entry2& entry : entries) {
    if (entry.function == function && entry.index == index) return entry;
  }
  return std::nullopt;
}

std::vector<kvm_cpuid_entry2> AmdHost() {
  return {
      {.function = 0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65},
      {.function = 1, .ebx = 0x05080800, .ecx = 1u << 5, .edx = 0x078bfbff},
      {.function = 6, .eax = 0},
      {.function = 7, .eax = 0},
      {.function = 0xa, .eax = 0x07300402},
      {.function = 0xb, .flags = 1, .eax = 7, .ebx = 99},
      {.function = 0x80000001, .ecx = (1u << 2) | (1u << 23)},
      {.function = 0x80000008, .eax = 0x3030, .ecx = 0x7001},
      {.function = 0x8000000a, .eax = 1},
      {.function = 0x8000001d, .index = 0, .flags = 1, .eax = 0x00000121},
      {.function = 0x8000001d, .index = 3, .flags = 1, .eax = 0x00004163},
      {.function = 0x8000001e, .eax = 77, .ebx = 0x177, .ecx = 3},
  };
}

TEST(NormalizeCpuid, HidesNestedVirtualizationAndCounters) {
  const auto cpuid = NormalizeCpuid(AmdHost(), {.vcpu_count = 1}, true);
  EXPECT_EQ(Find(cpuid, 1)->ecx & (1u << 5), 0u);
  EXPECT_EQ(Find(cpuid, 0x80000001)->ecx, 0u);
  EXPECT_FALSE(Find(cpuid, 0xa));
  EXPECT_FALSE(Find(cpuid, 0x8000000a));
  EXPECT_FALSE(Find(cpuid, 7)) << "all-zero leaves are left out";
}

TEST(NormalizeCpuid, OffersWhatKvmEmulates) {
  const auto cpuid = NormalizeCpuid(AmdHost(), {.vcpu_count = 1}, true);
  EXPECT_EQ(Find(cpuid, 1)->ecx, (1u << 21) | (1u << 24) | (1u << 31));
  EXPECT_EQ(Find(cpuid, 1)->edx & (1u << 28), 0u);
  const auto no_deadline = NormalizeCpuid(AmdHost(), {.vcpu_count = 1}, false);
  EXPECT_EQ(Find(no_deadline, 1)->ecx & (1u << 24), 0u);
}

TEST(NormalizeCpuid, DescribesCoresAndThreads) {
  const CpuTopology topology = {.vcpu_count = 6, .smt = true};
  auto cpuid = NormalizeCpuid(AmdHost(), topology, true);
  EXPECT_EQ(Find(cpuid, 0xb, 0)->eax, 1u);
  EXPECT_EQ(Find(cpuid, 0xb, 0)->ebx, 2u);
  EXPECT_EQ(Find(cpuid, 0xb, 0)->ecx, 0x100u);
  EXPECT_EQ(Find(cpuid, 0xb, 1)->eax, 3u);
  EXPECT_EQ(Find(cpuid, 0xb, 1)->ebx, 6u);
  EXPECT_EQ(Find(cpuid, 0xb, 1)->ecx, 0x201u);
  EXPECT_EQ((Find(cpuid, 1)->ebx >> 16) & 0xff, 8u);
  EXPECT_EQ(Find(cpuid, 0x80000008)->ecx, 0x3005u);
  EXPECT_EQ((Find(cpuid, 0x8000001d, 0)->eax >> 14) & 0xfff, 1u) << "L1 is a core's";
  EXPECT_EQ((Find(cpuid, 0x8000001d, 3)->eax >> 14) & 0xfff, 7u) << "L3 is the package's";
  SetCpuidApicId(absl::MakeSpan(cpuid), 5, topology);
  EXPECT_EQ(Find(cpuid, 1)->ebx >> 24, 5u);
  EXPECT_EQ(Find(cpuid, 0xb, 1)->edx, 5u);
  EXPECT_EQ(Find(cpuid, 0x8000001e)->eax, 5u);
  EXPECT_EQ(Find(cpuid, 0x8000001e)->ebx, 0x102u);
}

TEST(NormalizeCpuid, IntelCacheLeavesFollowTheTopology) {
  const std::vector<kvm_cpuid_entry2> host = {
      {.function = 0, .eax = 0x16, .ebx = 0x756e6547},
      {.function = 1, .ebx = 0},
      {.function = 4, .index = 0, .flags = 1, .eax = 0xfc004121},
      {.function = 4, .index = 3, .flags = 1, .eax = 0xfc1fc163},
      {.function = 4, .index = 4, .flags = 1, .ebx = 1},
  };
  const auto cpuid = NormalizeCpuid(host, {.vcpu_count = 4}, true);
  EXPECT_EQ(Find(cpuid, 4, 0)->eax, (3u << 26) | 0x121u);
  EXPECT_EQ(Find(cpuid, 4, 3)->eax, (3u << 26) | (3u << 14) | 0x163u);
  EXPECT_EQ(Find(cpuid, 4, 4)->eax, 0u);
}

TEST(NormalizeCpuid, SurvivesAnEmptyHost) {
  EXPECT_EQ(NormalizeCpuid({}, {.vcpu_count = 1}, true).size(), 2u);
}

}  // namespace
}  // namespace hearth
