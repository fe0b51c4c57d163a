// SPDX-License-Identifier: Apache-2.0
// What the nouns' tests share: all of them over a fake machine, spoken to in JSON.
#ifndef HEARTH_RUNTIME_RESOURCES_RESOURCE_TEST_BASE_H_
#define HEARTH_RUNTIME_RESOURCES_RESOURCE_TEST_BASE_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/control/dispatch.h"
#include "runtime/control/machine_control_fake.h"
#include "runtime/resources/vm_config.h"

namespace hearth {

class ResourceTest : public ::testing::Test {
 protected:
  ResourceTest() {
    AddResources(&config_, &machine_, {.id = "vm1", .version = "0.1.0"},
                 {.collect = [this] { return metrics_; }, .on_configured = [] {}}, &resources_);
  }

  // The reply's JSON ("" for none), or the error's message.
  std::string Do(Method method, absl::string_view path, absl::string_view body = "") {
    for (const auto& resource : resources_) {
      if (resource->path() != path) continue;
      const Verb* verb = FindVerb(*resource, method);
      if (verb == nullptr) return "no such verb";
      std::unique_ptr<google::protobuf::MessageLite> message;
      if (verb->body != nullptr) {
        auto parsed = ParseBody(*resource, *verb, "", body);
        if (!parsed.ok()) return std::string(parsed.status().message());
        message = *std::move(parsed);
      }
      const absl::StatusOr<Reply> reply =
          Perform(*resource, *verb, "", message.get(), machine_.state());
      if (!reply.ok()) return std::string(reply.status().message());
      return reply->body != nullptr ? json::ToJson(*reply->body, *reply->schema) : reply->json;
    }
    return "no such path";
  }
  std::string Get(absl::string_view path) { return Do(Method::kGet, path); }
  std::string Put(absl::string_view path, absl::string_view body) {
    return Do(Method::kPut, path, body);
  }
  std::string Patch(absl::string_view path, absl::string_view body) {
    return Do(Method::kPatch, path, body);
  }

  FakeMachineControl machine_;
  VmConfig config_;
  MetricSections metrics_;
  Resources resources_;
};

inline constexpr char kTooLate[] =
    "The requested operation is not supported after starting the microVM.";
inline constexpr char kTooEarly[] =
    "The requested operation is not supported before starting the microVM.";

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_RESOURCE_TEST_BASE_H_
