// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/cpu_template.h"

#include <algorithm>
#include <bit>

namespace hearth {
namespace {

constexpr uint32_t Bit(int n) { return 1u << n; }

// `value` with bits [low, low + width) replaced by `field`.
constexpr uint32_t WithField(uint32_t value, int low, int width, uint32_t field) {
  const uint32_t mask = (width == 32 ? ~0u : Bit(width) - 1) << low;
  return (value & ~mask) | ((field << low) & mask);
}

uint32_t ThreadsPerCore(const CpuTopology& topology) {
  return topology.smt && topology.vcpu_count > 1 ? 2 : 1;
}

uint32_t BitsFor(uint32_t count) { return static_cast<uint32_t>(std::bit_width(count - 1)); }

// Extended topology: one row a level, thread then core.
kvm_cpuid_entry2 ExtendedTopologyLevel(uint32_t level, const CpuTopology& topology) {
  kvm_cpuid_entry2 entry = {
      .function = 0xb, .index = level, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ecx = level};
  const uint32_t threads = ThreadsPerCore(topology);
  if (level == 0) {
    entry.eax = BitsFor(threads);
    entry.ebx = threads;
    entry.ecx |= 1u << 8;  // level type: thread
  } else if (level == 1) {
    entry.eax = BitsFor(topology.vcpu_count);
    entry.ebx = topology.vcpu_count;
    entry.ecx |= 2u << 8;  // level type: core
  }
  return entry;
}

// How many APIC IDs share a cache, minus 1: the last level is the package's, the others are a
// core's.
uint32_t CacheSharing(uint32_t eax, const CpuTopology& topology) {
  const uint32_t cache_level = (eax >> 5) & 7;
  const uint32_t sharing =
      cache_level >= 3 ? std::bit_ceil(topology.vcpu_count) : ThreadsPerCore(topology);
  return WithField(eax, 14, 12, sharing - 1);
}

bool IsUnoffered(uint32_t function) {
  switch (function) {
    case 0xa:         // Intel architectural performance monitoring
    case 0x1f:        // V2 extended topology: leaf 0xb says it all
    case 0xb:         // made anew
    case 0x8000000a:  // SVM
    case 0x80000022:  // AMD performance monitoring
      return true;
    default:
      return false;
  }
}

void NormalizeEntry(kvm_cpuid_entry2& entry, const CpuTopology& topology, bool amd,
                    bool tsc_deadline) {
  const bool several = topology.vcpu_count > 1;
  switch (entry.function) {
    case 1:
      entry.ecx &= ~(Bit(5) | Bit(15));  // VMX, PDCM
      entry.ecx |= Bit(21) | Bit(31);    // x2APIC, hypervisor
      entry.ecx = tsc_deadline ? entry.ecx | Bit(24) : entry.ecx & ~Bit(24);
      entry.ebx = WithField(entry.ebx, 16, 8, std::bit_ceil(topology.vcpu_count));
      entry.edx = several ? entry.edx | Bit(28) : entry.edx & ~Bit(28);  // HTT
      break;
    case 4:
      if ((entry.eax & 0x1f) == 0) break;  // no more caches
      entry.eax = CacheSharing(entry.eax, topology);
      entry.eax = WithField(entry.eax, 26, 6,
                            std::bit_ceil(topology.vcpu_count / ThreadsPerCore(topology)) - 1);
      break;
    case 6:
      entry.eax |= Bit(2);  // ARAT: KVM's APIC timer never stops
      break;
    case 0x80000001:
      entry.ecx &= ~(Bit(2) | Bit(23) | Bit(24) | Bit(28));  // SVM, performance counters
      if (amd) entry.ecx = several ? entry.ecx | Bit(1) : entry.ecx & ~Bit(1);  // CmpLegacy
      break;
    case 0x80000008:
      if (!amd) break;
      entry.ecx = WithField(entry.ecx, 0, 8, topology.vcpu_count - 1);
      entry.ecx = WithField(entry.ecx, 12, 4, BitsFor(topology.vcpu_count));
      break;
    case 0x8000001d:
      if ((entry.eax & 0x1f) != 0) entry.eax = CacheSharing(entry.eax, topology);
      break;
    case 0x8000001e:
      entry.ebx = WithField(entry.ebx, 8, 8, ThreadsPerCore(topology) - 1);
      entry.ecx = 0;  // one node, one node a package
      break;
    default:
      break;
  }
}

}  // namespace

std::vector<kvm_cpuid_entry2> NormalizeCpuid(absl::Span<const kvm_cpuid_entry2> supported,
                                             const CpuTopology& topology, bool tsc_deadline) {
  std::vector<kvm_cpuid_entry2> entries;
  entries.reserve(supported.size() + 3);
  const bool amd =
      !supported.empty() && supported[0].function == 0 && supported[0].ebx == 0x68747541;
  for (const kvm_cpuid_entry2& entry : supported) {
    // An absent leaf reads as zeros: entries of zeros only cost KVM time at every CPUID exit.
    if (IsUnoffered(entry.function) || (entry.eax | entry.ebx | entry.ecx | entry.edx) == 0)
      continue;
    entries.push_back(entry);
    NormalizeEntry(entries.back(), topology, amd, tsc_deadline);
  }
  for (uint32_t level = 0; level < 2; ++level)
    entries.push_back(ExtendedTopologyLevel(level, topology));
  SetCpuidApicId(absl::MakeSpan(entries), 0, topology);
  return entries;
}

void SetCpuidApicId(absl::Span<kvm_cpuid_entry2> entries, uint32_t apic_id,
                    const CpuTopology& topology) {
  for (kvm_cpuid_entry2& entry : entries) {
    if (entry.function == 1) entry.ebx = WithField(entry.ebx, 24, 8, apic_id);
    if (entry.function == 0xb) entry.edx = apic_id;
    if (entry.function == 0x8000001e) {
      entry.eax = apic_id;
      entry.ebx = WithField(entry.ebx, 0, 8, apic_id / ThreadsPerCore(topology));
    }
  }
}

std::vector<kvm_msr_entry> InitialMsrs() {
  constexpr uint32_t kMiscEnable = 0x1a0;
  constexpr uint32_t kMtrrDefType = 0x2ff;
  return {
      {.index = kMiscEnable, .data = 1},                 // fast strings
      {.index = kMtrrDefType, .data = (1u << 11) | 6u},  // MTRRs on, memory is write-back
  };
}

}  // namespace hearth
