// SPDX-License-Identifier: Apache-2.0
// Whole-file helpers for configuration-sized files. Errors name the call and the path.
#ifndef HEARTH_BASE_FILES_H_
#define HEARTH_BASE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace hearth::base {

// open(2) with O_CLOEXEC.
absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, int mode = 0644);

// The size of a regular file; another kind of file is an error that says so.
absl::StatusOr<uint64_t> RegularFileSize(int fd, absl::string_view path);

// The whole file; one over `max_bytes` is refused.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Reads exactly `size` bytes at `offset`; a short file is an OutOfRange error.
absl::Status PreadExactly(int fd, void* data, size_t size, uint64_t offset);

}  // namespace hearth::base

#endif  // HEARTH_BASE_FILES_H_
