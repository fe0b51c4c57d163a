// SPDX-License-Identifier: Apache-2.0
// Giving guest memory back to the host. Source: madvise(2), fallocate(2), mincore(2).
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/status_macros.h"
#include "runtime/memory/guest_memory.h"

namespace hearth {
namespace {

using base::ErrnoStatus;

std::string Describe(const GuestMemory::Region& region, uint64_t offset, uint64_t size) {
  return absl::StrCat(size, " bytes of guest memory at ", (region.start + offset).ToString());
}

}  // namespace

std::optional<GuestAddress> GuestMemory::AddressOf(const iovec& vector) const {
  const auto hva = reinterpret_cast<uintptr_t>(vector.iov_base);
  for (const Region& region : regions_) {
    const auto start = reinterpret_cast<uintptr_t>(region.hva);
    const uint64_t offset = hva - start;
    if (hva >= start && offset <= region.size_bytes &&
        vector.iov_len <= region.size_bytes - offset) {
      return region.start + offset;
    }
  }
  return std::nullopt;
}

absl::StatusOr<uint64_t> GuestMemory::Discard(GuestAddress start, uint64_t size_bytes) {
  const Region* const region = FindRegion(start, size_bytes);
  if (region == nullptr) {
    return absl::OutOfRangeError(absl::StrCat("discard: ", size_bytes, " bytes at guest address ",
                                              start.ToString(), " are not guest memory"));
  }
  const uint64_t begin = start - region->start;
  const uint64_t end = begin + size_bytes;
  // Regions start at multiples of the host's page size, in the guest's and the host's addresses.
  const uint64_t pages_begin = std::min(AlignUp(begin, host_page_size()), end);
  const uint64_t pages_end = std::max(AlignDown(end, host_page_size()), pages_begin);
  if (begin < pages_begin) Clear(*region, begin, pages_begin - begin);
  uint64_t released = 0;
  if (pages_begin < pages_end) {
    const uint64_t size = pages_end - pages_begin;
    HEARTH_ASSIGN_OR_RETURN(released, options_.backing == Backing::kMemfd
                                          ? ReleaseShared(*region, pages_begin, size)
                                          : ReleasePrivate(*region, pages_begin, size));
  }
  if (pages_end < end) Clear(*region, pages_end, end - pages_end);
  if (dirty_ != nullptr) dirty_->Mark(region->fd_offset + begin, size_bytes);
  return released;
}

void GuestMemory::Clear(const Region& region, uint64_t offset, uint64_t size) {
  auto* const at = static_cast<uint8_t*>(region.hva) + offset;
  if (options_.pages == Pages::kHugetlb2M) {
    // A page that nobody has touched reads zero and costs nothing: leave it so.
    unsigned char resident = 1;
    uint8_t* const page = static_cast<uint8_t*>(region.hva) + AlignDown(offset, kPageSize);
    if (mincore(page, kPageSize, &resident) == 0 && (resident & 1) == 0) return;
  }
  std::memset(at, 0, size);
}

absl::StatusOr<uint64_t> GuestMemory::ReleaseShared(const Region& region, uint64_t offset,
                                                    uint64_t size) {
  // Frees the pages of the file, and with them every mapping of it.
  while (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                   static_cast<off_t>(region.fd_offset + offset), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR)
      return ErrnoStatus("fallocate(FALLOC_FL_PUNCH_HOLE)", Describe(region, offset, size));
  }
  return size;
}

absl::StatusOr<uint64_t> GuestMemory::ReleasePrivate(const Region& region, uint64_t offset,
                                                     uint64_t size) {
  uint8_t* const hva = static_cast<uint8_t*>(region.hva);
  const uint64_t end = offset + size;
  uint64_t released = 0;
  absl::MutexLock lock(&file_ranges_mutex_);
  while (offset < end) {
    const uint64_t start_gpa = region.start.value();
    const std::optional<RangeSet::Range> file =
        file_ranges_.FirstOverlap({start_gpa + offset, start_gpa + end});
    const uint64_t anonymous_end = file ? file->begin - start_gpa : end;
    if (const uint64_t length = anonymous_end - offset; length > 0) {
      if (madvise(hva + offset, length, MADV_DONTNEED) != 0)
        return ErrnoStatus("madvise(MADV_DONTNEED)", Describe(region, offset, length));
      released += length;
    }
    offset = anonymous_end;
    if (!file) break;
    // MADV_DONTNEED would bring the file's bytes back. KVM follows the change of the mapping
    // (MMU notifiers), and at no moment is there none.
    const uint64_t length = file->end - file->begin;
    if (file_ranges_.Splits(*file) && file_ranges_.ranges().size() >= kMaxFileRanges) {
      std::memset(hva + offset, 0, length);
    } else {
      HEARTH_RETURN_IF_ERROR(MapAnonymous(hva + offset, length));
      file_ranges_.Remove(*file);
      released += length;
    }
    offset += length;
  }
  return released;
}

}  // namespace hearth
