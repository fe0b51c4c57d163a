// SPDX-License-Identifier: Apache-2.0
#include "base/command_line.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/suggest.h"

namespace hearth::base {
namespace {

constexpr size_t kPageColumns = 80;
constexpr size_t kHelpColumn = 28;

absl::Status Unknown(absl::Span<const Flag> flags, absl::string_view name) {
  std::vector<absl::string_view> known;
  for (const Flag& flag : flags) known.push_back(flag.name);
  const absl::string_view nearest = Nearest(name, known);
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown flag --", name,
      nearest.empty() ? "; see --help" : absl::StrCat(", did you mean --", nearest, "?")));
}

absl::Status Set(const Flag& flag, absl::string_view value) {
  if (auto* const* number = std::get_if<uint64_t*>(&flag.target)) {
    uint64_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc() || end != value.data() + value.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag.name, ": got \"", value,
                       "\", must be an integer from 0 to 18446744073709551615"));
    }
    **number = parsed;
  } else if (auto* const* text = std::get_if<std::string*>(&flag.target)) {
    **text = std::string(value);
  } else if (auto* const* optional = std::get_if<std::optional<std::string>*>(&flag.target)) {
    **optional = std::string(value);
  } else if (auto* const* list = std::get_if<std::vector<std::string>*>(&flag.target)) {
    (*list)->emplace_back(value);
  }
  return absl::OkStatus();
}

std::string Default(const Flag& flag) {
  if (auto* const* number = std::get_if<uint64_t*>(&flag.target)) return absl::StrCat(**number);
  if (auto* const* text = std::get_if<std::string*>(&flag.target)) return **text;
  if (auto* const* optional = std::get_if<std::optional<std::string>*>(&flag.target))
    return (*optional)->value_or("");
  return "";
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseCommandLine(absl::Span<const Flag> flags,
                                                          absl::Span<const char* const> args) {
  std::vector<const Flag*> seen;
  for (size_t i = 0; i < args.size(); ++i) {
    absl::string_view arg = args[i];
    if (arg == "--")
      return std::vector<std::string>(args.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                      args.end());
    if (!absl::ConsumePrefix(&arg, "--")) {
      return absl::InvalidArgumentError(absl::StrCat("\"", arg, "\": not a flag; see --help"));
    }
    const size_t equals = arg.find('=');
    const absl::string_view name = arg.substr(0, equals);
    const auto flag =
        std::find_if(flags.begin(), flags.end(), [name](const Flag& f) { return f.name == name; });
    if (flag == flags.end()) return Unknown(flags, name);
    if (!std::holds_alternative<std::vector<std::string>*>(flag->target)) {
      if (std::find(seen.begin(), seen.end(), &*flag) != seen.end()) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, ": is there twice"));
      }
      seen.push_back(&*flag);
    }
    if (bool* const* on = std::get_if<bool*>(&flag->target)) {
      if (equals != absl::string_view::npos) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, ": takes no value"));
      }
      **on = true;
      continue;
    }
    if (equals != absl::string_view::npos) {
      HEARTH_RETURN_IF_ERROR(Set(*flag, arg.substr(equals + 1)));
      continue;
    }
    // "--a --b" is a forgotten value rather than the value "--b"; "--a=--b" says the other.
    if (i + 1 == args.size() || absl::StartsWith(args[i + 1], "--")) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": needs a value (", flag->value, ")"));
    }
    HEARTH_RETURN_IF_ERROR(Set(*flag, args[++i]));
  }
  return std::vector<std::string>();
}

std::string FormatFlags(absl::Span<const Flag> flags) {
  std::string out;
  for (const Flag& flag : flags) {
    std::string line = absl::StrCat("  --", flag.name, flag.value.empty() ? "" : " ", flag.value);
    std::string help(flag.help);
    if (const std::string value = Default(flag); !value.empty())
      absl::StrAppend(&help, " Default: ", value, ".");
    // A flag that leaves no room for its help has a line of its own.
    if (line.size() + 2 > kHelpColumn) {
      absl::StrAppend(&out, line, "\n");
      line.clear();
    }
    line.resize(kHelpColumn - 1, ' ');
    for (const absl::string_view word : absl::StrSplit(help, ' ', absl::SkipEmpty())) {
      if (line.size() + 1 + word.size() > kPageColumns && line.size() > kHelpColumn) {
        absl::StrAppend(&out, line, "\n");
        line.assign(kHelpColumn - 1, ' ');
      }
      absl::StrAppend(&line, " ", word);
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

}  // namespace hearth::base
