// SPDX-License-Identifier: Apache-2.0
// The command line of hearth: Firecracker's flags, and a few of our own.
#ifndef HEARTH_RUNTIME_VMM_OPTIONS_H_
#define HEARTH_RUNTIME_VMM_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/log.h"

namespace hearth {

inline constexpr absl::string_view kHearthVersion = "0.1.0";

struct ProgramOptions {
  bool help = false;
  bool version = false;

  std::string api_sock = "/run/firecracker.socket";  // so that clients' defaults find us
  bool no_api = false;
  std::string config_file;
  uint64_t http_api_max_payload_size = 51200;
  std::string id = "anonymous-instance";
  std::string kvm_node = "/dev/kvm";
  bool boot_timer = false;
  bool no_io_uring = false;

  std::string log_path;
  base::LogLevel log_level = base::LogLevel::kInfo;
  bool show_level = false;
  bool show_log_origin = false;
};

// InvalidArgument names the flag, what it got and what it takes.
absl::StatusOr<ProgramOptions> ParseOptions(absl::Span<const char* const> args);

// The text of --help.
std::string HelpText();

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_OPTIONS_H_
