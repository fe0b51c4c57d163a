// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory/guest_memory.h"

#include <linux/memfd.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/status_macros.h"

namespace hearth {
namespace {

using base::ErrnoStatus;

uint64_t HostMemoryBytes() {
  struct sysinfo info;
  if (sysinfo(&info) != 0) return ~0ull;
  return (uint64_t{info.totalram} + info.totalswap) * info.mem_unit;
}

absl::Status CheckOptions(const GuestMemory::Options& options) {
  const bool huge = options.pages == GuestMemory::Pages::kHugetlb2M;
  const uint64_t page = huge ? kHugePageSize : kPageSize;
  if (options.size_bytes == 0)
    return absl::InvalidArgumentError("guest memory of 0 bytes; give at least 1 MiB");
  if (options.size_bytes % page != 0) {
    return absl::InvalidArgumentError(absl::StrCat("guest memory of ", options.size_bytes,
                                                   " bytes is not a multiple of its ", page,
                                                   "-byte pages"));
  }
  if (const uint64_t host = HostMemoryBytes(); options.size_bytes > host) {
    return absl::ResourceExhaustedError(
        absl::StrCat("guest memory of ", options.size_bytes >> 20,
                     " MiB is more than the host's memory and swap of ", host >> 20,
                     " MiB; lower mem_size_mib"));
  }
  return absl::OkStatus();
}

// Reserves `size` bytes of address space whose start is aligned to 2 MiB, so that huge pages of the
// host can back aligned huge pages of the guest.
absl::StatusOr<uint8_t*> ReserveAligned(uint64_t size) {
  void* const at = mmap(nullptr, size + kHugePageSize, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    return ErrnoStatus("mmap", absl::StrCat(size >> 20, " MiB of guest address space"));
  auto* const start = static_cast<uint8_t*>(at);
  const uint64_t misalignment = reinterpret_cast<uintptr_t>(at) % kHugePageSize;
  const uint64_t head = misalignment == 0 ? 0 : kHugePageSize - misalignment;
  if (head > 0) munmap(start, head);
  munmap(start + head + size, kHugePageSize - head);
  return start + head;
}

// What a mapping of guest memory wants besides being there. Neighbours that are set up alike become
// one mapping in the kernel.
absl::Status SetUp(GuestMemory::Pages pages, void* at, uint64_t size) {
  if (pages == GuestMemory::Pages::kTransparentHuge && madvise(at, size, MADV_HUGEPAGE) != 0) {
    return ErrnoStatus("madvise(MADV_HUGEPAGE)", "guest memory", errno,
                       "the host kernel has no transparent huge pages: set huge_pages to \"None\"");
  }
  // For people who read /proc/PID/smaps; an old kernel refuses, and nothing depends on it.
  prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, size, "hearth-guest-memory");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<GuestMemory>> GuestMemory::Create(const Options& options) {
  HEARTH_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<GuestMemory> memory(new GuestMemory(options));
  const bool hugetlb = options.pages == Pages::kHugetlb2M;
  int map_flags = MAP_FIXED | MAP_NORESERVE;
  if (options.backing == Backing::kMemfd) {
    memory->fd_.reset(memfd_create(
        "hearth-guest-memory",
        MFD_CLOEXEC | MFD_ALLOW_SEALING | (hugetlb ? MFD_HUGETLB | MFD_HUGE_2MB : 0u)));
    if (memory->fd() < 0) return ErrnoStatus("memfd_create", "guest memory");
    if (ftruncate(memory->fd(), static_cast<off_t>(options.size_bytes)) != 0) {
      return ErrnoStatus("ftruncate", "guest memory");
    }
    map_flags |= MAP_SHARED;
  } else {
    map_flags |= MAP_PRIVATE | MAP_ANONYMOUS | (hugetlb ? MAP_HUGETLB | MAP_HUGE_2MB : 0);
  }
  // hugetlbfs pages are reserved at mmap time: a clear error now beats SIGBUS in the guest's first
  // touch.
  if (hugetlb) map_flags &= ~MAP_NORESERVE;

  const uint64_t low = std::min(options.size_bytes, kMmioHoleStart.value());
  const uint64_t high = options.size_bytes - low;
  uint64_t fd_offset = 0;
  const std::pair<GuestAddress, uint64_t> pieces[] = {{GuestAddress(0), low}, {kMmioHoleEnd, high}};
  for (const auto& [start, size] : pieces) {
    if (size == 0) continue;
    HEARTH_ASSIGN_OR_RETURN(uint8_t* const at, ReserveAligned(size));
    memory->regions_.push_back(
        {start, size, at, fd_offset});  // from here on the destructor unmaps it
    if (mmap(at, size, PROT_READ | PROT_WRITE, map_flags, memory->fd(),
             static_cast<off_t>(fd_offset)) == MAP_FAILED) {
      return ErrnoStatus("mmap", absl::StrCat(size >> 20, " MiB of guest memory"), errno,
                         hugetlb ? "reserve 2 MiB pages first: /proc/sys/vm/nr_hugepages" : "");
    }
    HEARTH_RETURN_IF_ERROR(SetUp(options.pages, at, size));
    fd_offset += size;
  }
  if (options.track_dirty)
    memory->dirty_ = std::make_unique<DirtyBitmap>(options.size_bytes / kPageSize);
  return memory;
}

GuestMemory::~GuestMemory() {
  for (const Region& region : regions_) munmap(region.hva, region.size_bytes);
}

void GuestMemory::MarkDirtyInRegion(const iovec& written) const {
  const auto at = reinterpret_cast<uintptr_t>(written.iov_base);
  for (const Region& region : regions_) {
    const uint64_t offset =
        at - reinterpret_cast<uintptr_t>(region.hva);  // huge where `at` is below
    if (offset >= region.size_bytes) continue;
    HEARTH_CHECK(written.iov_len <= region.size_bytes - offset);
    dirty_->Mark(region.fd_offset + offset, written.iov_len);
    return;
  }
  HEARTH_CHECK(written.iov_len == 0);
}

absl::StatusOr<GuestSlice> GuestMemory::SliceFor(absl::string_view what, GuestAddress start,
                                                 uint64_t size_bytes) const {
  if (const std::optional<GuestSlice> slice = Slice(start, size_bytes)) return *slice;
  return absl::OutOfRangeError(absl::StrCat(what, ": ", size_bytes, " bytes at guest address ",
                                            start.ToString(), " do not fit the guest's memory of ",
                                            options_.size_bytes >> 20, " MiB; raise mem_size_mib"));
}

absl::Status GuestMemory::Write(absl::string_view what, GuestAddress start,
                                absl::string_view data) {
  HEARTH_ASSIGN_OR_RETURN(const GuestSlice slice, SliceFor(what, start, data.size()));
  HEARTH_CHECK(slice.CopyIn(0, data.data(), data.size()));
  return absl::OkStatus();
}

absl::Status GuestMemory::MapAnonymous(void* at, uint64_t size_bytes) const {
  if (mmap(at, size_bytes, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
    return ErrnoStatus("mmap", absl::StrCat(size_bytes, " bytes of guest memory"));
  }
  return SetUp(options_.pages, at, size_bytes);
}

absl::Status GuestMemory::MapFilePrivate(absl::string_view what, int fd, uint64_t file_offset,
                                         uint64_t size_bytes, GuestAddress start) {
  if (size_bytes == 0) return absl::OkStatus();
  if (options_.backing != Backing::kAnonymous || options_.pages == Pages::kHugetlb2M) {
    return absl::FailedPreconditionError(
        "only anonymous memory without hugetlbfs takes private file mappings");
  }
  if (start.value() % kPageSize != 0 || file_offset % kPageSize != 0) {
    return absl::FailedPreconditionError("not page-aligned");
  }
  const uint64_t mapped = AlignUp(size_bytes, kPageSize);
  HEARTH_ASSIGN_OR_RETURN(const GuestSlice slice, SliceFor(what, start, mapped));
  if (mmap(slice.hva_, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
           static_cast<off_t>(file_offset)) == MAP_FAILED) {
    // MAP_FIXED may have removed the old mapping before it failed: put anonymous memory back.
    const int map_errno = errno;
    HEARTH_RETURN_IF_ERROR(MapAnonymous(slice.hva_, mapped), "after a failed file mapping");
    return ErrnoStatus("mmap", what, map_errno);
  }
  {
    absl::MutexLock lock(&file_ranges_mutex_);
    file_ranges_.Add({start.value(), start.value() + mapped});
  }
  // The rest of the last page holds whatever follows in the file.
  if (mapped > size_bytes) HEARTH_CHECK(slice.Fill(size_bytes, 0, mapped - size_bytes));
  slice.MarkDirty(0, mapped);
  return absl::OkStatus();
}

}  // namespace hearth
