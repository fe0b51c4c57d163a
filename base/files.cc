// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/status_macros.h"

namespace hearth::base {

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, int mode) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) return ErrnoStatus("open", path);
  return fd;
}

absl::StatusOr<uint64_t> RegularFileSize(int fd, absl::string_view path) {
  struct stat st;
  if (fstat(fd, &st) != 0) return ErrnoStatus("fstat", path);
  if (!S_ISREG(st.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  return static_cast<uint64_t>(st.st_size);
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  HEARTH_ASSIGN_OR_RETURN(const UniqueFd fd, Open(path, O_RDONLY));
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("read", path);
    if (n == 0) return content;
    if (content.size() + static_cast<size_t>(n) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " is larger than the ", max_bytes, " bytes allowed"));
    }
    content.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status PreadExactly(int fd, void* data, size_t size, uint64_t offset) {
  auto* out = static_cast<char*>(data);
  while (size > 0) {
    // The kernel moves at most 2 GiB a call.
    const ssize_t n = pread(fd, out, std::min<size_t>(size, 1u << 30), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("pread", "");
    if (n == 0) return absl::OutOfRangeError(absl::StrCat("the file ends at offset ", offset));
    out += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace hearth::base
