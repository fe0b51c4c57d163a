// SPDX-License-Identifier: Apache-2.0
// /logger: base/log.h over the API.
#ifndef HEARTH_RUNTIME_RESOURCES_LOGGER_H_
#define HEARTH_RUNTIME_RESOURCES_LOGGER_H_

#include <optional>

#include "runtime/control/resource.h"
#include "runtime/resources/logger.json.h"

namespace hearth {

class LoggerResource : public Resource {
 public:
  // `*logger` outlives the resource; main thread.
  explicit LoggerResource(std::optional<LoggerConfig>* logger) : logger_(*logger) {}

  absl::string_view path() const override { return "/logger"; }
  absl::string_view config_key() const override { return "logger"; }
  absl::Span<const Verb> verbs() const override;
  // Changes the process's log options at once; the instance id stays.
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  std::optional<LoggerConfig>& logger_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_LOGGER_H_
