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
  std::optional<GuestSlice> Slice(GuestAddress start, uint64_t size_bytes) const {
    const Region* const region = FindRegion(start, size_bytes);
    if (region == nullptr) [[unlikely]]
      return std::nullopt;
    const uint64_t offset = start - region->start;
    return GuestSlice(static_cast<uint8_t*>(region->hva) + offset, size_bytes, dirty_.get(),
                      region->fd_offset + offset);
  }
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
                              uint64_t size_bytes, GuestAddress start)
      ABSL_LOCKS_EXCLUDED(file_ranges_mutex_);

  // Where `vector`, which came from a slice of this memory, is in it; nullopt for any other.
  std::optional<GuestAddress> AddressOf(const iovec& vector) const;

  // Of the host's pages that back this memory: the unit in which Discard() gives memory back.
  uint64_t host_page_size() const {
    return options_.pages == Pages::kHugetlb2M ? kHugePageSize : kPageSize;
  }
  // Forgets [start, start + size), which must lie within one region: it reads zero from now on, and
  // the host's pages that lie wholly inside go back to the host until they are touched again. What
  // else the range covers is only cleared. Returns how many bytes went back.
  //
  // vCPUs may run; a write of theirs to the range at the same time is lost or not. Marks the range
  // dirty. hugetlbfs pages need Linux 5.18 unless backed by a memfd, and may be gone from the pool
  // when the guest wants them again. Pages that the guest picks out of the middle of a file mapping
  // (MapFilePrivate) are only cleared once that has made kMaxFileRanges pieces of it, since each
  // piece costs the host a mapping.
  absl::StatusOr<uint64_t> Discard(GuestAddress start, uint64_t size_bytes)
      ABSL_LOCKS_EXCLUDED(file_ranges_mutex_);
  static constexpr size_t kMaxFileRanges = 256;

 private:
  GuestMemory(const Options& options) : options_(options) {}
  const Region* FindRegion(GuestAddress start, uint64_t size_bytes) const {
    for (const Region& region : regions_) {
      const uint64_t offset = start - region.start;  // huge where `start` is below
      if (offset <= region.size_bytes && size_bytes <= region.size_bytes - offset) return &region;
    }
    return nullptr;
  }
  void MarkDirtyInRegion(const iovec& written) const;
  // Puts fresh anonymous pages at [at, at + size), in place of whatever is there.
  absl::Status MapAnonymous(void* at, uint64_t size_bytes) const;
  // Of Discard(): whole pages of the host. Returns how many bytes went back.
  absl::StatusOr<uint64_t> ReleaseShared(const Region& region, uint64_t offset, uint64_t size);
  absl::StatusOr<uint64_t> ReleasePrivate(const Region& region, uint64_t offset, uint64_t size)
      ABSL_LOCKS_EXCLUDED(file_ranges_mutex_);
  // Of Discard(): a part of a page of the host.
  void Clear(const Region& region, uint64_t offset, uint64_t size);

  const Options options_;
  std::vector<Region> regions_;
  base::UniqueFd fd_;
  std::unique_ptr<DirtyBitmap> dirty_;

  absl::Mutex file_ranges_mutex_;
  // Guest addresses behind which there is still a private file mapping.
  RangeSet file_ranges_ ABSL_GUARDED_BY(file_ranges_mutex_);
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_MEMORY_GUEST_MEMORY_H_
