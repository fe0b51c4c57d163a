// SPDX-License-Identifier: Apache-2.0
// RapidJSON's SAX reader with our dialect's settings. For the .cc files of this folder only.
#ifndef HEARTH_PROTO_JSON_SAX_H_
#define HEARTH_PROTO_JSON_SAX_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// RapidJSON 1.1 adds an offset to the null pointer of a stack that is still empty. No harm, but
// UBSan is right to complain.
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include "rapidjson/error/en.h"
#include "rapidjson/memorystream.h"
#include "rapidjson/reader.h"
#ifdef __clang__
#pragma clang attribute pop
#endif

namespace hearth::json::internal {

// "line 3, column 7" of the byte at `offset`.
inline std::string Position(absl::string_view json, size_t offset) {
  const absl::string_view before = json.substr(0, offset);
  const size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  const size_t line_start = before.rfind('\n');
  const size_t column =
      1 + before.size() - (line_start == absl::string_view::npos ? 0 : line_start + 1);
  return absl::StrCat("line ", line, ", column ", column);
}

// What the callbacks of RapidJSON that we never get (numbers come as text) have in common.
struct NoNumbers {
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }
};

// Runs RapidJSON over all of `json`. The handler's own error, where it stopped the parser, goes
// before the parser's.
template <typename Handler>
absl::Status ParseSax(absl::string_view json, rapidjson::MemoryStream& stream, Handler& handler) {
  rapidjson::Reader reader;
  const rapidjson::ParseResult result =
      reader.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag>(
          stream, handler);
  if (!handler.error().empty()) return absl::InvalidArgumentError(handler.error());
  if (result.IsError()) {
    if (result.Code() == rapidjson::kParseErrorDocumentEmpty) {
      return absl::InvalidArgumentError("it is empty, must be a JSON object");
    }
    return absl::InvalidArgumentError(absl::StrCat("not valid JSON at ",
                                                   Position(json, result.Offset()), ": ",
                                                   rapidjson::GetParseError_En(result.Code())));
  }
  // A NUL byte ends the document for RapidJSON, whatever follows it.
  if (stream.Tell() != json.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not valid JSON at ", Position(json, stream.Tell()), ": a NUL byte"));
  }
  return absl::OkStatus();
}

}  // namespace hearth::json::internal

#endif  // HEARTH_PROTO_JSON_SAX_H_
