// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/statistics.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "base/status_macros.h"

namespace hearth::virtio::balloon {
namespace {

// The place in the table is the tag.
using Setter = void (BalloonStatistics::*)(uint64_t);
constexpr Setter kSetters[] = {
    &BalloonStatistics::set_swap_in,
    &BalloonStatistics::set_swap_out,
    &BalloonStatistics::set_major_faults,
    &BalloonStatistics::set_minor_faults,
    &BalloonStatistics::set_free_memory,
    &BalloonStatistics::set_total_memory,
    &BalloonStatistics::set_available_memory,
    &BalloonStatistics::set_disk_caches,
    &BalloonStatistics::set_hugetlb_allocations,
    &BalloonStatistics::set_hugetlb_failures,
    &BalloonStatistics::set_oom_kill,
    &BalloonStatistics::set_alloc_stall,
    &BalloonStatistics::set_async_scan,
    &BalloonStatistics::set_direct_scan,
    &BalloonStatistics::set_async_reclaim,
    &BalloonStatistics::set_direct_reclaim,
};

}  // namespace

bool MergeStatistics(const DescriptorChain& chain, BalloonStatistics* statistics) {
  const uint32_t entries = chain.readable_bytes() / kStatisticBytes;
  const uint32_t count = std::min(entries, kMaxStatistics);
  std::array<uint8_t, kMaxStatistics * kStatisticBytes> buffer;
  HEARTH_CHECK(chain.CopyOut(0, buffer.data(), count * kStatisticBytes));
  for (uint32_t i = 0; i < count; ++i) {
    const uint8_t* const entry = buffer.data() + i * kStatisticBytes;
    uint16_t guest_tag;
    uint64_t guest_value;
    std::memcpy(&guest_tag, entry, sizeof(guest_tag));
    std::memcpy(&guest_value, entry + sizeof(guest_tag), sizeof(guest_value));
    if (guest_tag >= std::size(kSetters)) continue;
    // A variable of its own: GCC 12's bounds check takes the index from elsewhere otherwise.
    const Setter setter = kSetters[guest_tag];
    (statistics->*setter)(guest_value);
  }
  return count == entries && chain.readable_bytes() % kStatisticBytes == 0;
}

}  // namespace hearth::virtio::balloon
