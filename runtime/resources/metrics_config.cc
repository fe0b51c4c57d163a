// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/metrics_config.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "runtime/control/reply.h"

namespace hearth {
namespace {

// Names are ours or ids that the API has checked: nothing in them wants escaping.
std::string Line(const MetricsConfig& config, const std::string& id, const MetricSections& now,
                 const MetricSections& before) {
  std::string line = absl::StrCat("{\"utc_timestamp_ms\":", absl::ToUnixMillis(absl::Now()));
  if (config.emit_id()) absl::StrAppend(&line, ",\"id\":\"", id, "\"");
  for (const auto& [section, metrics] : now) {
    absl::StrAppend(&line, ",\"", section, "\":{");
    const auto old_section = before.find(section);
    const char* separator = "";
    for (const auto& [name, value] : metrics) {
      uint64_t old = 0;
      if (old_section != before.end()) {
        const auto found = old_section->second.find(name);
        if (found != old_section->second.end()) old = found->second;
      }
      absl::StrAppend(&line, separator, "\"", name, "\":", value - old);
      separator = ",";
    }
    line += "}";
  }
  return line + "}\n";
}

}  // namespace

absl::Span<const Verb> MetricsResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kPut, Phase::kBeforeBoot, &kMetricsConfigSchema}};
  return kVerbs;
}

absl::StatusOr<Reply> MetricsResource::Handle(const Call& call) {
  if (config_)
    return absl::InvalidArgumentError("metrics_path: Reinitialization of metrics not allowed.");
  const auto& body = BodyOf<MetricsConfig>(call);
  // Non-blocking: a FIFO without a reader is refused here, and a full one later loses nothing.
  absl::StatusOr<base::UniqueFd> file =
      base::Open(body.metrics_path(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0640);
  if (!file.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics_path: must be a writable file, or a FIFO that has a reader: ",
                     file.status().message()));
  }
  file_ = *std::move(file);
  config_ = body;
  hooks_.on_configured();
  return Reply{};
}

std::vector<Reply> MetricsResource::Config() const {
  if (!config_) return {};
  return OneReply(*config_, kMetricsConfigSchema);
}

absl::Status MetricsResource::Flush() {
  if (!config_) {
    return absl::FailedPreconditionError(
        "FlushMetrics: no metrics are configured; PUT /metrics with metrics_path before the start");
  }
  MetricSections now = hooks_.collect();
  const std::string line = Line(*config_, id_, now, written_);
  const ssize_t n = write(file_.get(), line.data(), line.size());
  if (n < 0) return base::ErrnoStatus("write", config_->metrics_path());
  if (static_cast<size_t>(n) != line.size()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("write ", config_->metrics_path(), ": the line was cut short"));
  }
  written_ = std::move(now);
  return absl::OkStatus();
}

}  // namespace hearth
