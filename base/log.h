// SPDX-License-Identifier: Apache-2.0
// The process's log: one line an event, Firecracker's line format, to standard error or a file or
// FIFO.
//
// Line: "2026-11-21T10:00:00.123456789 [id:thread:LEVEL:file:line] message"; level and origin only
// where asked for. Any thread may log. A write never blocks: a full pipe loses the line and counts
// it (lost_lines()). A message is logged once, where the error stops; lines break never: control
// characters in a message are escaped.
#ifndef HEARTH_BASE_LOG_H_
#define HEARTH_BASE_LOG_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hearth::base {

enum class LogLevel : int { kOff = 0, kError, kWarning, kInfo, kDebug, kTrace };

// "Error", "Warning" (or "Warn"), "Info", "Debug", "Trace", "Off", in any case.
std::optional<LogLevel> ParseLogLevel(absl::string_view name);
absl::string_view LogLevelName(LogLevel level);

struct LogOptions {
  std::string instance_id = "anonymous-instance";
  LogLevel level = LogLevel::kInfo;
  bool show_level = false;
  bool show_origin = false;
};

// Replaces the options. From one thread at a time; others may log meanwhile. GetLogOptions()'s
// reference stays valid.
void SetLogOptions(const LogOptions& options);
const LogOptions& GetLogOptions();
// Appends to `path` (a file, made if missing, or a FIFO that has a reader). From one thread at a
// time; others may log meanwhile.
absl::Status SetLogPath(const std::string& path);
// Lines that a full pipe or a failed write lost.
uint64_t LostLogLines();

namespace internal {
extern std::atomic<LogLevel> g_level;
void WriteLog(LogLevel level, const char* file, int line, absl::string_view message);
}  // namespace internal

inline bool LogEnabled(LogLevel level) {
  return level <= internal::g_level.load(std::memory_order_relaxed);
}

}  // namespace hearth::base

// HEARTH_LOG(kInfo, "loaded ", path): the parts are only evaluated when the level is on.
#define HEARTH_LOG(level, ...)                                                                \
  do {                                                                                        \
    if (::hearth::base::LogEnabled(::hearth::base::LogLevel::level)) {                        \
      ::hearth::base::internal::WriteLog(::hearth::base::LogLevel::level, __FILE__, __LINE__, \
                                         absl::StrCat(__VA_ARGS__));                          \
    }                                                                                         \
  } while (false)

#endif  // HEARTH_BASE_LOG_H_
