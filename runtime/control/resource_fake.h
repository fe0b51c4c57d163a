// SPDX-License-Identifier: Apache-2.0
// Nouns for tests: one of a kind (/sample), and a family (/parts/{id}). They keep what they are
// given.
#ifndef HEARTH_RUNTIME_CONTROL_RESOURCE_FAKE_H_
#define HEARTH_RUNTIME_CONTROL_RESOURCE_FAKE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "proto/json_schema_test.json.h"
#include "runtime/control/resource.h"

namespace hearth {

class FakeResource : public Resource {
 public:
  absl::string_view path() const override { return "/sample"; }
  absl::string_view config_key() const override { return "sample"; }
  absl::Span<const Verb> verbs() const override {
    static constexpr Verb kVerbs[] = {
        {Method::kGet, Phase::kAny},
        {Method::kPut, Phase::kBeforeBoot, &json_test::kSampleSchema},
        {Method::kPatch, Phase::kAfterBoot, &json_test::kSampleSchema, json::Presence::kPartial},
    };
    return kVerbs;
  }
  absl::StatusOr<Reply> Handle(const Call& call) override {
    if (on_call) on_call();
    if (call.method == Method::kGet) return Copy();
    const auto& body = static_cast<const json_test::Sample&>(*call.body);
    if (body.path() == "/refused") return absl::InvalidArgumentError("path: got \"/refused\"");
    if (body.path() == "/failed") return absl::InternalError("the disk is on fire");
    if (call.method == Method::kPut) sample = {};
    sample.MergeFrom(body);
    return Reply{};
  }
  std::vector<Reply> Config() const override {
    std::vector<Reply> replies;
    if (sample.has_count()) replies.push_back(Copy());
    return replies;
  }

  json_test::Sample sample;
  absl::AnyInvocable<void()> on_call;  // at the beginning of each Handle()

 private:
  Reply Copy() const {
    return {.body = std::make_unique<json_test::Sample>(sample),
            .schema = &json_test::kSampleSchema};
  }
};

class FakeFamily : public Resource {
 public:
  absl::string_view path() const override { return "/parts/{id}"; }
  absl::string_view config_key() const override { return "parts"; }
  absl::Span<const Verb> verbs() const override {
    static constexpr Verb kVerbs[] = {
        {Method::kPut, Phase::kBeforeBoot, &json_test::kSample_PartSchema}};
    return kVerbs;
  }
  absl::StatusOr<Reply> Handle(const Call& call) override {
    members[std::string(call.id)] = static_cast<const json_test::Sample_Part&>(*call.body);
    return Reply{};
  }
  std::vector<Reply> Config() const override {
    std::vector<Reply> replies;
    for (const auto& [id, part] : members) {
      replies.push_back({.body = std::make_unique<json_test::Sample_Part>(part),
                         .schema = &json_test::kSample_PartSchema});
    }
    return replies;
  }

  std::map<std::string, json_test::Sample_Part> members;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_RESOURCE_FAKE_H_
