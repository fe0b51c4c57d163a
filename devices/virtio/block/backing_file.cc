// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/backing_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/block/protocol.h"

namespace hearth::virtio::block {
namespace {

// For a kernel that does not tell what O_DIRECT wants: enough for every file system of today.
constexpr uint32_t kCarefulAlignment = 4096;

// It is the request that names the file, so the request is what is wrong.
absl::Status Refuse(const absl::Status& status) {
  return absl::InvalidArgumentError(status.message());
}

bool IsPowerOfTwoUpTo(uint32_t value, uint32_t most) {
  return std::has_single_bit(value) && value <= most;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BackingFile>> BackingFile::Open(const std::string& path,
                                                               const Options& options) {
  std::unique_ptr<BackingFile> file(new BackingFile());
  file->path_ = path;
  file->read_only_ = options.read_only;
  const int mode = options.read_only ? O_RDONLY : O_RDWR;
  // O_NONBLOCK: a FIFO must not hold up the main thread. It means nothing for the files we take.
  absl::StatusOr<base::UniqueFd> fd = base::Open(path, mode | O_NONBLOCK);
  if (!fd.ok()) return Refuse(fd.status());
  file->fd_ = *std::move(fd);

  struct stat stat;
  if (fstat(file->fd_.get(), &stat) != 0) return Refuse(base::ErrnoStatus("fstat", path));
  const bool is_block_device = S_ISBLK(stat.st_mode);
  if (!S_ISREG(stat.st_mode) && !is_block_device) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is neither a regular file nor a block device"));
  }
  if (fcntl(file->fd_.get(), F_SETFL, 0) != 0) return Refuse(base::ErrnoStatus("fcntl", path));
  const off_t size = lseek(file->fd_.get(), 0, SEEK_END);
  if (size < 0) return Refuse(base::ErrnoStatus("lseek", path));
  file->size_bytes_ = static_cast<uint64_t>(size);
  file->device_id_ = absl::StrCat(stat.st_dev, stat.st_rdev, stat.st_ino).substr(0, kDeviceIdBytes);

  if (options.direct) {
    absl::StatusOr<base::UniqueFd> direct = base::Open(path, mode | O_DIRECT);
    if (!direct.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          direct.status().message(), "; where the file system has no O_DIRECT, leave out direct"));
    }
    file->direct_fd_ = *std::move(direct);
    HEARTH_RETURN_IF_ERROR(file->QueryDirect(path, is_block_device));
  }
  uint32_t physical = static_cast<uint32_t>(std::clamp<blksize_t>(stat.st_blksize, 512, 65536));
  if (!std::has_single_bit(physical)) physical = 4096;
  file->physical_block_size_ = std::max(file->block_size_, physical);
  return file;
}

absl::Status BackingFile::QueryDirect(const std::string& path, bool is_block_device) {
  block_size_ = kCarefulAlignment;
  memory_alignment_ = kCarefulAlignment;
  int logical = 0;
  if (is_block_device && ioctl(direct_fd_.get(), BLKSSZGET, &logical) == 0) {
    block_size_ = memory_alignment_ = static_cast<uint32_t>(logical);
  }
  struct statx statx_buffer;
  if (statx(direct_fd_.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &statx_buffer) == 0 &&
      (statx_buffer.stx_mask & STATX_DIOALIGN) != 0 && statx_buffer.stx_dio_offset_align != 0) {
    block_size_ = std::max(statx_buffer.stx_dio_offset_align, kSectorBytes);
    memory_alignment_ = std::max(statx_buffer.stx_dio_mem_align, 1u);
  }
  if (!IsPowerOfTwoUpTo(block_size_, 65536) || !IsPowerOfTwoUpTo(memory_alignment_, 65536)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": O_DIRECT wants blocks of ", block_size_,
                                                   " bytes in memory aligned to ",
                                                   memory_alignment_, "; leave out direct"));
  }
  return absl::OkStatus();
}

uint64_t BackingFile::capacity_sectors() const {
  // st_size is signed: no overflow.
  return (size_bytes_ + block_size_ - 1) / block_size_ * (block_size_ / kSectorBytes);
}

int BackingFile::fd_for(absl::Span<const iovec> vectors, uint64_t offset) const {
  if (!direct_fd_.valid() || offset % block_size_ != 0) return fd_.get();
  for (const iovec& vector : vectors) {
    const uintptr_t bits = std::bit_cast<uintptr_t>(vector.iov_base) | vector.iov_len;
    if ((bits & (memory_alignment_ - 1)) != 0) return fd_.get();
  }
  return direct_fd_.get();
}

void BackingFile::WarnIfShared(absl::string_view who) const {
  if (flock(fd_.get(), (read_only_ ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
    return;
  }
  HEARTH_LOG(kWarning, who, ": ", path_, " is in use elsewhere",
             read_only_ ? " by a writer" : " and opened for writing here",
             "; two users of a file system that do not know of each other destroy it");
}

}  // namespace hearth::virtio::block
