// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/file_loader.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "base/status_macros.h"

namespace hearth::boot {
namespace {

absl::Status ReadRange(GuestMemory& memory, absl::string_view what, int fd, uint64_t offset,
                       uint64_t size, GuestAddress start) {
  if (size == 0) return absl::OkStatus();
  HEARTH_ASSIGN_OR_RETURN(const GuestSlice slice, memory.SliceFor(what, start, size));
  for (uint64_t done = 0; done < size;) {
    // The kernel moves at most 2 GiB a call.
    const iovec to = slice.Subslice(done, std::min<uint64_t>(size - done, 1u << 30))->AsIovec();
    const ssize_t n = preadv(fd, &to, 1, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::ErrnoStatus("preadv", what);
    if (n == 0) {
      return absl::InvalidArgumentError(absl::StrCat(what, ": the file ends at offset ",
                                                     offset + done, ", short of ", offset + size,
                                                     "; it is truncated, copy it again"));
    }
    slice.MarkDirty(done, static_cast<uint64_t>(n));
    done += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedBytes> LoadFileRange(GuestMemory& memory, absl::string_view what, int fd,
                                          uint64_t offset, uint64_t size, GuestAddress start) {
  HEARTH_RETURN_IF_ERROR(memory.SliceFor(what, start, size).status());
  // [head][whole pages][tail]; without common alignment everything is head.
  const bool aligned = start.value() % kPageSize == offset % kPageSize;
  uint64_t head = aligned ? std::min(AlignUp(offset, kPageSize) - offset, size) : size;
  uint64_t pages = AlignDown(size - head, kPageSize);
  if (pages > 0) {
    const absl::Status mapped = memory.MapFilePrivate(what, fd, offset + head, pages, start + head);
    if (absl::IsFailedPrecondition(mapped)) {
      head = size;
      pages = 0;
    } else if (!mapped.ok()) {
      return mapped;
    }
  }
  const uint64_t tail = head + pages;
  HEARTH_RETURN_IF_ERROR(ReadRange(memory, what, fd, offset, head, start));
  HEARTH_RETURN_IF_ERROR(ReadRange(memory, what, fd, offset + tail, size - tail, start + tail));
  return LoadedBytes{.mapped = pages, .copied = size - pages};
}

}  // namespace hearth::boot
