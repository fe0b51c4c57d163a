// SPDX-License-Identifier: Apache-2.0
// Whatever is accepted prints to JSON that is accepted again and prints the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "proto/json_schema.h"
#include "proto/json_schema_test.json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using hearth::json_test::kSampleSchema;
  const absl::string_view json(reinterpret_cast<const char*>(data), size);
  hearth::json_test::Sample first;
  if (hearth::json::MergeFromJson(json, kSampleSchema, hearth::json::Presence::kPartial, &first)
          .ok()) {
    const std::string printed = hearth::json::ToJson(first, kSampleSchema);
    hearth::json_test::Sample second;
    HEARTH_CHECK(hearth::json::MergeFromJson(printed, kSampleSchema,
                                             hearth::json::Presence::kPartial, &second)
                     .ok());
    HEARTH_CHECK(hearth::json::ToJson(second, kSampleSchema) == printed);
  }
  const auto members = hearth::json::SplitObject(json);
  if (members.ok()) {
    for (const hearth::json::Member& member : *members) {
      for (const absl::string_view object : member.objects) {
        HEARTH_CHECK(object.size() >= 2 && object.front() == '{' && object.back() == '}');
        HEARTH_CHECK(object.begin() >= json.begin() && object.end() <= json.end());
      }
    }
  }
  return 0;
}
