// SPDX-License-Identifier: Apache-2.0
#include "base/status_macros.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace hearth::base {

absl::Status ErrnoStatus(absl::string_view call, absl::string_view object, int errno_value,
                         absl::string_view hint) {
  return absl::Status(
      absl::ErrnoToStatusCode(errno_value),
      absl::StrCat(call, object.empty() ? "" : " ", object, ": ",
                   std::generic_category().message(errno_value), hint.empty() ? "" : "; ", hint));
}

absl::Status ErrnoStatus(absl::string_view call, absl::string_view object) {
  return ErrnoStatus(call, object, errno);
}

absl::Status Annotate(absl::Status status, absl::string_view prefix) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, ": ", status.message()));
}

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace hearth::base
