// SPDX-License-Identifier: Apache-2.0
// DirtyBitmap: which 4 KiB pages the VMM itself wrote (KVM's own log knows only what vCPUs wrote).
//
// One bit a page, in the units of the bitmap: page 0 is the first page of the first memory region.
// Mark() may be called by any thread at any time; TakeAndClear() is for one thread while the
// devices are paused, if the result is to be exact.
#ifndef HEARTH_RUNTIME_MEMORY_DIRTY_BITMAP_H_
#define HEARTH_RUNTIME_MEMORY_DIRTY_BITMAP_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace hearth {

class DirtyBitmap {
 public:
  explicit DirtyBitmap(uint64_t pages);

  // Marks every page that [offset, offset + size) touches. size may be 0. The caller has checked
  // the bounds.
  void Mark(uint64_t offset_bytes, uint64_t size_bytes);
  bool IsDirty(uint64_t page) const;
  // 64 pages a word, least significant bit first.
  std::vector<uint64_t> TakeAndClear();
  uint64_t pages() const { return pages_; }

 private:
  const uint64_t pages_;
  const std::unique_ptr<std::atomic<uint64_t>[]> words_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_MEMORY_DIRTY_BITMAP_H_
