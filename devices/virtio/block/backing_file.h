// SPDX-License-Identifier: Apache-2.0
// BackingFile: the raw image behind a drive: a regular file or a block device of the host.
//
// Opened on the main thread, used on the device's thread, closed on the main thread (the last close
// of a file may take long). Nobody else may shrink it meanwhile: reads of what is gone fail.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_BACKING_FILE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_BACKING_FILE_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"

namespace hearth::virtio::block {

class BackingFile {
 public:
  struct Options {
    bool read_only = false;
    // O_DIRECT: past the host's page cache.
    bool direct = false;
  };

  // InvalidArgument, with the path and the reason, whatever is wrong with the file.
  static absl::StatusOr<std::unique_ptr<BackingFile>> Open(const std::string& path,
                                                           const Options& options);
  BackingFile(const BackingFile&) = delete;
  BackingFile& operator=(const BackingFile&) = delete;

  // When it was opened.
  uint64_t size_bytes() const { return size_bytes_; }
  // The size in sectors, rounded up to whole blocks. What lies between the file's end and the
  // device's reads as zero; a write to it lets the file grow to a whole block.
  uint64_t capacity_sectors() const;
  // What offsets and sizes of requests have to be multiples of: 512, or more where O_DIRECT wants
  // it.
  uint32_t block_size() const { return block_size_; }
  // What the host's storage likes best, at least block_size().
  uint32_t physical_block_size() const { return physical_block_size_; }
  // Firecracker's: decimal device, rdev and inode numbers, cut to 20 bytes.
  const std::string& device_id() const { return device_id_; }
  bool direct() const { return direct_fd_.valid(); }

  // The descriptor for I/O of these buffers at `offset`: O_DIRECT has rules for their alignment,
  // and what breaks them goes through the page cache, which the kernel keeps coherent.
  int fd_for(absl::Span<const iovec> vectors, uint64_t offset) const;
  int fd() const { return fd_.get(); }

  // Do blocks that stay allocated have to be zeroed by writing, for want of FALLOC_FL_ZERO_RANGE?
  // Found out at the first attempt; device thread.
  bool zeroes_by_writing() const { return zeroes_by_writing_; }
  void set_zeroes_by_writing() { zeroes_by_writing_ = true; }

  // Logs a warning, which begins with `who`, if another process uses the file in a way that this
  // use endangers: the lock is advisory (flock(2), exclusive for writers, shared for readers) and
  // lives as long as this object.
  void WarnIfShared(absl::string_view who) const;

 private:
  BackingFile() = default;
  // Reads the alignment that O_DIRECT wants.
  absl::Status QueryDirect(const std::string& path, bool is_block_device);

  std::string path_;
  base::UniqueFd fd_;         // through the page cache
  base::UniqueFd direct_fd_;  // O_DIRECT, if asked for
  bool read_only_ = false;
  bool zeroes_by_writing_ = false;
  uint64_t size_bytes_ = 0;
  uint32_t block_size_ = 512;
  uint32_t physical_block_size_ = 4096;
  uint32_t memory_alignment_ = 1;  // of buffers for direct_fd_
  std::string device_id_;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_BACKING_FILE_H_
