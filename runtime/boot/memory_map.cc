// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/memory_map.h"

#include "runtime/boot/layout.h"

namespace hearth::boot {

std::vector<MemoryRange> BuildMemoryMap(absl::Span<const GuestMemory::Region> regions) {
  using namespace layout;
  std::vector<MemoryRange> map = {
      {GuestAddress(0), kEbda.value(), MemoryType::kRam},
      {kEbda, kEbdaEnd - kEbda, MemoryType::kReserved},
      {kAcpi, kMpTableEnd - kAcpi, MemoryType::kReserved},
  };
  for (const GuestMemory::Region& region : regions) {
    const GuestAddress end = region.start + region.size_bytes;
    const GuestAddress start = std::max(region.start, kHighMemory);
    if (start < end) map.push_back({start, end - start, MemoryType::kRam});
  }
  return map;
}

}  // namespace hearth::boot
