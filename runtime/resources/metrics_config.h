// SPDX-License-Identifier: Apache-2.0
// /metrics: the numbers of the machine, as lines of JSON in a file, in Firecracker's form:
//
//   {"utc_timestamp_ms": 1700000000000, "block": {"read_count": 3}, "block_rootfs": {"read_count":
//   3}}
//
// A number is what was added since the line before. Main thread.
#ifndef HEARTH_RUNTIME_RESOURCES_METRICS_CONFIG_H_
#define HEARTH_RUNTIME_RESOURCES_METRICS_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "runtime/control/resource.h"
#include "runtime/resources/metrics_config.json.h"

namespace hearth {

// Section ("block_rootfs") -> name -> how much it has come to since the start.
using MetricSections = std::map<std::string, std::map<std::string, uint64_t>>;

class MetricsResource : public Resource {
 public:
  struct Hooks {
    absl::AnyInvocable<MetricSections()> collect;
    // A file is configured: from now on, somebody calls Flush() now and then.
    absl::AnyInvocable<void()> on_configured;
  };

  // `*config` outlives the resource. `id` is the microVM's.
  MetricsResource(std::optional<MetricsConfig>* config, std::string id, Hooks hooks)
      : config_(*config), id_(std::move(id)), hooks_(std::move(hooks)) {}

  absl::string_view path() const override { return "/metrics"; }
  absl::string_view config_key() const override { return "metrics"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

  // Appends a line; never blocks. FailedPrecondition if no file is configured; an error if the line
  // could not be written, whose numbers come with the next one.
  absl::Status Flush();

 private:
  std::optional<MetricsConfig>& config_;
  const std::string id_;
  Hooks hooks_;
  base::UniqueFd file_;
  MetricSections written_;  // what the lines so far come to
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_METRICS_CONFIG_H_
