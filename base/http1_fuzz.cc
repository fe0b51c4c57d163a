// SPDX-License-Identifier: Apache-2.0
// The same bytes give the same requests, whether they come at once or in pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/http1.h"
#include "base/status_macros.h"

namespace {

using ::hearth::base::http1::RequestParser;

constexpr hearth::base::http1::Limits kLimits = {.max_header_bytes = 256, .max_body_bytes = 128};

std::string Run(absl::string_view data, size_t piece) {
  RequestParser parser(kLimits);
  std::string seen;
  while (!data.empty()) {
    absl::string_view part = data.substr(0, piece);
    data.remove_prefix(part.size());
    while (!part.empty()) {
      const size_t before = part.size();
      const RequestParser::State state = parser.Parse(&part);
      HEARTH_CHECK(part.size() <= before);
      if (state == RequestParser::State::kRefused) {
        HEARTH_CHECK(parser.refusal().status >= 400);
        return absl::StrCat(seen, "refused");
      }
      if (state != RequestParser::State::kComplete) {
        HEARTH_CHECK(part.empty());
        continue;
      }
      const auto& request = parser.request();
      HEARTH_CHECK(request.body.size() <= kLimits.max_body_bytes);
      absl::StrAppend(&seen, request.method, " ", request.target, " ", request.body, " ",
                      request.keep_alive, "\n");
      // What follows a "Connection: close" is nobody's business.
      if (!request.keep_alive) return seen;
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string whole = Run(all, std::max<size_t>(size, 1));
  HEARTH_CHECK(Run(all, 1) == whole);
  HEARTH_CHECK(Run(all, 7) == whole);
  return 0;
}
