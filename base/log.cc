// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace hearth::base {
namespace internal {
std::atomic<LogLevel> g_level{LogLevel::kInfo};
}  // namespace internal

namespace {

// Every set of options that there was stays, and is leaked on purpose: another thread may be
// writing a line with it, or log while static objects are destroyed. They are few and small.
std::atomic<const LogOptions*> g_options{nullptr};

const LogOptions& Options() {
  static const LogOptions* const defaults = new LogOptions;
  const LogOptions* options = g_options.load(std::memory_order_acquire);
  return options != nullptr ? *options : *defaults;
}

std::atomic<int> g_fd{STDERR_FILENO};
std::atomic<uint64_t> g_lost_lines{0};

constexpr std::array<std::pair<absl::string_view, LogLevel>, 7> kLevelNames = {{
    {"Error", LogLevel::kError},
    {"Warning", LogLevel::kWarning},
    {"Info", LogLevel::kInfo},
    {"Debug", LogLevel::kDebug},
    {"Trace", LogLevel::kTrace},
    {"Off", LogLevel::kOff},
    {"Warn", LogLevel::kWarning},
}};

void AppendTimestamp(std::string& out) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char text[48];
  const size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + n, sizeof(text) - n, ".%09ld", now.tv_nsec);
  out += text;
}

void AppendEscaped(std::string& out, absl::string_view message) {
  for (const char c : message) {
    if (static_cast<unsigned char>(c) >= 0x20 || c == '\t') {
      out += c;
    } else {
      char hex[8];
      std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(c));
      out += hex;
    }
  }
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(absl::string_view name) {
  for (const auto& [text, level] : kLevelNames) {
    if (absl::EqualsIgnoreCase(name, text)) return level;
  }
  return std::nullopt;
}

absl::string_view LogLevelName(LogLevel level) {
  for (const auto& [text, value] : kLevelNames) {
    if (value == level) return text;
  }
  return "Unknown";
}

void SetLogOptions(const LogOptions& options) {
  static auto* const all = new std::vector<std::unique_ptr<const LogOptions>>;
  all->push_back(std::make_unique<const LogOptions>(options));
  g_options.store(all->back().get(), std::memory_order_release);
  internal::g_level.store(options.level, std::memory_order_relaxed);
}

const LogOptions& GetLogOptions() { return Options(); }

absl::Status SetLogPath(const std::string& path) {
  // Non-blocking: a FIFO without a reader is refused by the kernel (ENXIO) instead of hanging us.
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
  if (!fd.valid()) {
    return ErrnoStatus("open", path, errno,
                       errno == ENXIO ? "it is a FIFO that nobody reads: start its reader first"
                                      : "log_path must be a writable file or FIFO");
  }
  // Once there is a descriptor of ours its number stays: another thread may be about to write to
  // it.
  const int old = g_fd.load();
  if (old == STDERR_FILENO) {
    g_fd.store(fd.release());
  } else if (dup3(fd.get(), old, O_CLOEXEC) < 0) {
    return ErrnoStatus("dup3", path);
  }
  return absl::OkStatus();
}

uint64_t LostLogLines() { return g_lost_lines.load(std::memory_order_relaxed); }

namespace internal {

void WriteLog(LogLevel level, const char* file, int line, absl::string_view message) {
  const LogOptions& options = Options();
  std::string out;
  out.reserve(message.size() + 96);
  AppendTimestamp(out);
  char thread[16] = "";
  pthread_getname_np(pthread_self(), thread, sizeof(thread));
  absl::StrAppend(&out, " [", options.instance_id, ":", thread);
  if (options.show_level) absl::StrAppend(&out, ":", LogLevelName(level));
  if (options.show_origin) absl::StrAppend(&out, ":", file, ":", line);
  out += "] ";
  AppendEscaped(out, message);
  out += '\n';
  // One write a line, so that lines of several threads do not mix (O_APPEND, or a pipe below
  // PIPE_BUF).
  if (write(g_fd.load(), out.data(), out.size()) != static_cast<ssize_t>(out.size())) {
    g_lost_lines.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace internal
}  // namespace hearth::base
