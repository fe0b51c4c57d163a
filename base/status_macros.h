// SPDX-License-Identifier: Apache-2.0
// Passing absl::Status up, and making one from errno.
//
// A leaf names the system call and its object: ErrnoStatus("open", path). Each layer above adds
// only what it alone knows: HEARTH_RETURN_IF_ERROR(OpenTap(name), "net ", id). The message then
// reads from the outside in: "net eth0: open /dev/net/tun: No such file or directory".
#ifndef HEARTH_BASE_STATUS_MACROS_H_
#define HEARTH_BASE_STATUS_MACROS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hearth::base {

// "<call> <object>: <strerror>", with the code that absl gives the errno value. `hint`, if not
// empty, is appended after
// "; " and says what to do.
absl::Status ErrnoStatus(absl::string_view call, absl::string_view object, int errno_value,
                         absl::string_view hint = "");
// The same with the current errno.
absl::Status ErrnoStatus(absl::string_view call, absl::string_view object);

// `status` with "<prefix>: " in front of its message; an OK status stays as it is.
absl::Status Annotate(absl::Status status, absl::string_view prefix);
inline absl::Status Annotate(absl::Status status) { return status; }
template <typename... Parts>
requires(sizeof...(Parts) > 1) absl::Status Annotate(absl::Status status, const Parts&... parts) {
  return status.ok() ? status
                     : Annotate(std::move(status), absl::string_view(absl::StrCat(parts...)));
}

}  // namespace hearth::base

#define HEARTH_STATUS_CONCAT_INNER(a, b) a##b
#define HEARTH_STATUS_CONCAT(a, b) HEARTH_STATUS_CONCAT_INNER(a, b)

// Returns from the function when `expr` is not OK. Further arguments make the prefix of the
// message.
#define HEARTH_RETURN_IF_ERROR(expr, ...)                                                   \
  do {                                                                                      \
    if (absl::Status hearth_status = (expr); !hearth_status.ok()) {                         \
      return ::hearth::base::Annotate(std::move(hearth_status) __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                                       \
  } while (false)

// HEARTH_ASSIGN_OR_RETURN(auto x, F(), "loading ", path): declares or assigns `lhs` from a
// StatusOr.
#define HEARTH_ASSIGN_OR_RETURN(lhs, expr, ...)                                         \
  HEARTH_ASSIGN_OR_RETURN_INNER(HEARTH_STATUS_CONCAT(hearth_status_or_, __LINE__), lhs, \
                                expr __VA_OPT__(, ) __VA_ARGS__)
#define HEARTH_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr, ...)                               \
  auto tmp = (expr);                                                                     \
  if (!tmp.ok()) {                                                                       \
    return ::hearth::base::Annotate(std::move(tmp).status() __VA_OPT__(, ) __VA_ARGS__); \
  }                                                                                      \
  lhs = *std::move(tmp)

// Aborts with a message: for our own mistakes only, never for what a guest, a client or a file can
// cause.
#define HEARTH_CHECK(condition)                                    \
  do {                                                             \
    if (!(condition)) [[unlikely]] {                               \
      ::hearth::base::CheckFailed(#condition, __FILE__, __LINE__); \
    }                                                              \
  } while (false)

namespace hearth::base {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace hearth::base

#endif  // HEARTH_BASE_STATUS_MACROS_H_
