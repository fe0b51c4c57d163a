// SPDX-License-Identifier: Apache-2.0
// GuestMemory: the guest's RAM, mapped into this process.
//
// RAM starts at guest-physical 0. What does not fit under the 32-bit MMIO hole [0xd0000000, 4 GiB)
// goes on at 4 GiB. The regions are fixed at creation. Pages come from anonymous memory, or from a
// memfd that can be shared with another process, in 4 KiB, transparent huge or hugetlbfs 2 MiB
// pages; nothing is touched, so nothing is paid, until the guest or the VMM writes. Thread-safe:
// all methods may be called by any thread once Create() returned, but MapFilePrivate() only before
// vCPUs run.
#ifndef HEARTH_RUNTIME_MEMORY_GUEST_MEMORY_H_
#define HEARTH_RUNTIME_MEMORY_GUEST_MEMORY_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "runtime/memory/dirty_bitmap.h"
#include "runtime/memory/guest_address.h"
#include "runtime/memory/guest_slice.h"
#include "runtime/memory/range_set.h"

namespace hearth {

// The hole below 4 GiB where device registers, the IOAPIC and the LAPICs are.
inline constexpr GuestAddress kMmioHoleStart(0xd0000000);
inline constexpr GuestAddress kMmioHoleEnd(0x100000000);

class GuestMemory {
 public:
  enum class Backing { kAnonymous, kMemfd };
  enum class Pages { k4K, kTransparentHuge, kHugetlb2M };

  struct Options {
    uint64_t size_bytes = 0;  // a multiple of the page size, at most what the host has
    Backing backing = Backing::kAnonymous;
    Pages pages = Pages::k4K;
    bool track_dirty = false;  // keep a DirtyBitmap of the VMM's own writes
  };

  struct Region {
    GuestAddress start;
    uint64_t size_bytes;
    void* hva;           // for KVM_SET_USER_MEMORY_REGION and madvise(2) only
    uint64_t fd_offset;  // of the region in fd(), where there is one, and in the dirty bitmap
  };

  static absl::StatusOr<std::unique_ptr<GuestMemory>> Create(const Options& options);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  absl::Span<const Region> regions() const { return regions_; }
  uint64_t size_bytes() const { return options_.size_bytes; }
  const Options& options() const { return options_; }
  // The memfd, or -1.
  int fd() const { return fd_.get(); }
  // nullptr unless track_dirty.
  DirtyBitmap* dirty_bitmap() const { return dirty_.get(); }

  // The slice of [start, start + size), which must lie within one region. No allocation: for the
  // I/O path.
  std::optional<GuestSlice> Slice(GuestAddress start, uint64_t size_bytes) const;
  // The same for set-up code: the error names `what` and the range.
  absl::StatusOr<GuestSlice> SliceFor(absl::string_view what, GuestAddress start,
                                      uint64_t size_bytes) const;

  // Marks what a system call wrote into `written`, which came from GuestSlice::AsIovec(). No cost
  // unless track_dirty.
  void MarkDirty(const iovec& written) const {
    if (dirty_ != nullptr) [[unlikely]]
      MarkDirtyInRegion(written);
  }

  // Copies `data` to `start`.
  absl::Status Write(absl::string_view what, GuestAddress start, absl::string_view data);

  // Maps `size_bytes` of the file at `file_offset` privately over guest memory at `start`: pages
  // stay shared with the page cache until somebody writes to them, and nothing is copied. `start`
  // and `file_offset` must be page-aligned; the bytes of the last page past size_bytes are zeroed.
  // Refused (FailedPrecondition) where only a copy will do: memfd or hugetlbfs backing, or bad
  // alignment. `fd` may be closed afterwards. The file must not shrink while the VM lives (SIGBUS).
  absl::Status MapFilePrivate(absl::string_view what, int fd, uint64_t file_offset,
                              uint64_t size_bytes, GuestAddress start);

 private:
  GuestMemory(const Options& options) : options_(options) {}
  const Region* FindRegion(GuestAddress start, uint64_t size_bytes) const;
  void MarkDirtyInRegion(const iovec& written) const;

  const Options options_;
  std::vector<Region> regions_;
  base::UniqueFd fd_;
  std::unique_ptr<DirtyBitmap> dirty_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_MEMORY_GUEST_MEMORY_H_
