// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/options.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status_macros.h"

namespace hearth {
namespace {

constexpr size_t kMaxIdLength = 64;

std::vector<base::Flag> Flags(ProgramOptions& options, std::string& level) {
  return {
      {"api-sock", "PATH", "The Unix socket of the REST API.", &options.api_sock},
      {"no-api", "", "Runs without the REST API; needs --config-file.", &options.no_api},
      {"config-file", "PATH",
       "A JSON file with the whole configuration; the microVM starts at once.",
       &options.config_file},
      {"id", "ID", "The microVM's name: 1 to 64 letters, digits and hyphens.", &options.id},
      {"kvm-node", "PATH", "The hypervisor's node: stock KVM's, or that of Hearth's own module.",
       &options.kvm_node},
      {"boot-timer", "", "Logs the time of the guest's boot, when the guest signals its end.",
       &options.boot_timer},
      {"no-io-uring", "", "Runs the devices over epoll, even where io_uring is allowed.",
       &options.no_io_uring},
      {"log-path", "PATH", "A file or FIFO for the log; standard error without it.",
       &options.log_path},
      {"level", "LEVEL", "What is logged: Error, Warning, Info, Debug, Trace or Off.", &level},
      {"show-level", "", "Shows the level in log lines.", &options.show_level},
      {"show-log-origin", "", "Shows the source file and line in log lines.",
       &options.show_log_origin},
      {"http-api-max-payload-size", "BYTES", "The largest request body that the API takes.",
       &options.http_api_max_payload_size},
      {"version", "", "Prints the version.", &options.version},
      {"help", "", "Prints this.", &options.help},
  };
}

absl::Status CheckId(const std::string& id) {
  const bool valid =
      !id.empty() && id.size() <= kMaxIdLength && std::all_of(id.begin(), id.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
      });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--id: got \"", id, "\", must be 1 to ",
                                                 kMaxIdLength, " letters, digits or hyphens"));
}

}  // namespace

absl::StatusOr<ProgramOptions> ParseOptions(absl::Span<const char* const> args) {
  ProgramOptions options;
  std::string level = "Info";
  HEARTH_ASSIGN_OR_RETURN(const std::vector<std::string> rest,
                          base::ParseCommandLine(Flags(options, level), args));
  if (options.help || options.version) return options;
  if (!rest.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", rest[0], "\": hearth takes flags only"));
  }
  HEARTH_RETURN_IF_ERROR(CheckId(options.id));
  const std::optional<base::LogLevel> parsed = base::ParseLogLevel(level);
  if (!parsed.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--level: got \"", level, "\", must be Error, Warning, Info, Debug, Trace or Off"));
  }
  options.log_level = *parsed;
  if (options.no_api && options.config_file.empty()) {
    return absl::InvalidArgumentError("--no-api: nothing would ever start; give --config-file too");
  }
  if (options.http_api_max_payload_size == 0) {
    return absl::InvalidArgumentError("--http-api-max-payload-size: got 0, must be 1 or more");
  }
  return options;
}

std::string HelpText() {
  ProgramOptions defaults;
  std::string level = "Info";
  return absl::StrCat(
      "hearth ", kHearthVersion,
      ": runs one microVM, told what to do by its REST API or a configuration file.\n\n"
      "usage: hearth [FLAG]...\n\n",
      base::FormatFlags(Flags(defaults, level)),
      "\nExit status: 0 when the guest powered off or reset; 1 after a failure; 152 for a bad "
      "configuration;\n153 for a bad command line.\n");
}

}  // namespace hearth
