// SPDX-License-Identifier: Apache-2.0
// The memory map that both boot protocols hand to the kernel. Pure; any thread.
#ifndef HEARTH_RUNTIME_BOOT_MEMORY_MAP_H_
#define HEARTH_RUNTIME_BOOT_MEMORY_MAP_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

// The numbers are those of BIOS call E820h, which the zero page and PVH both use.
enum class MemoryType : uint32_t { kRam = 1, kReserved = 2 };

struct MemoryRange {
  GuestAddress start;
  uint64_t size_bytes;
  MemoryType type;
};

// Ascending and disjoint. Below 1 MiB as on a PC: RAM up to the EBDA, then the EBDA and the BIOS
// area (where the ACPI and MP tables are) as reserved; everything that is not listed is not RAM. A
// region that ends below 1 MiB is cut there.
std::vector<MemoryRange> BuildMemoryMap(absl::Span<const GuestMemory::Region> regions);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_MEMORY_MAP_H_
