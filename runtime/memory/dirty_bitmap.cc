// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory/dirty_bitmap.h"

#include "runtime/memory/guest_address.h"

namespace hearth {
namespace {
uint64_t WordCount(uint64_t pages) { return (pages + 63) / 64; }
}  // namespace

DirtyBitmap::DirtyBitmap(uint64_t pages)
    : pages_(pages), words_(new std::atomic<uint64_t>[WordCount(pages)]()) {}

void DirtyBitmap::Mark(uint64_t offset_bytes, uint64_t size_bytes) {
  if (size_bytes == 0) return;
  const uint64_t last = (offset_bytes + size_bytes - 1) / kPageSize;
  for (uint64_t page = offset_bytes / kPageSize; page <= last; ++page) {
    std::atomic<uint64_t>& word = words_[page / 64];
    const uint64_t bit = 1ull << (page % 64);
    // Most writes hit a page that is dirty already: a load is cheaper than a locked or.
    if (!(word.load(std::memory_order_relaxed) & bit))
      word.fetch_or(bit, std::memory_order_relaxed);
  }
}

bool DirtyBitmap::IsDirty(uint64_t page) const {
  return page < pages_ && (words_[page / 64].load(std::memory_order_relaxed) >> (page % 64) & 1);
}

std::vector<uint64_t> DirtyBitmap::TakeAndClear() {
  std::vector<uint64_t> taken(WordCount(pages_));
  for (uint64_t i = 0; i < taken.size(); ++i)
    taken[i] = words_[i].exchange(0, std::memory_order_relaxed);
  return taken;
}

}  // namespace hearth
