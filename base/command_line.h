// SPDX-License-Identifier: Apache-2.0
// A program's command line as a table of flags.
//
//   bool no_api = false;
//   std::optional<std::string> api_sock;
//   const Flag flags[] = {
//       {"api-sock", "PATH", "Where the REST API listens.", &api_sock},
//       {"no-api", "", "Runs without the REST API.", &no_api},
//   };
//   const absl::Span<const char* const> args(argv + 1, argc - 1);
//   HEARTH_ASSIGN_OR_RETURN(auto rest, ParseCommandLine(flags, args));
//
// "--name VALUE" and "--name=VALUE" mean the same; "--" ends the flags. Absl's flags would cost 70
// KiB of private memory and 0.1 ms a start, and have no dashes in their names.
#ifndef HEARTH_BASE_COMMAND_LINE_H_
#define HEARTH_BASE_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace hearth::base {

struct Flag {
  absl::string_view name;   // without its dashes
  absl::string_view value;  // what the value is, for --help: "PATH"; "" for a bool
  absl::string_view help;   // one sentence or more, without a line break
  // Where the value goes. What is there before is the default. A vector's flag may be given several
  // times.
  std::variant<bool*, uint64_t*, std::string*, std::optional<std::string>*,
               std::vector<std::string>*>
      target;
};

// Sets the targets of the flags in `args` (argv without the program's name) and returns what
// follows "--". On an error (InvalidArgument, naming the flag and, for an unknown one, the nearest)
// some targets may be set.
absl::StatusOr<std::vector<std::string>> ParseCommandLine(absl::Span<const Flag> flags,
                                                          absl::Span<const char* const> args);

// The flags with their help in two columns of an 80-column page, in the table's order; defaults as
// the targets hold now.
std::string FormatFlags(absl::Span<const Flag> flags);

}  // namespace hearth::base

#endif  // HEARTH_BASE_COMMAND_LINE_H_
