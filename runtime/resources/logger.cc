// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/logger.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "runtime/control/reply.h"

namespace hearth {
namespace {

base::LogLevel LevelOf(LoggerConfig::Level level) {
  switch (level) {
    case LoggerConfig::LEVEL_OFF:
      return base::LogLevel::kOff;
    case LoggerConfig::LEVEL_ERROR:
      return base::LogLevel::kError;
    case LoggerConfig::LEVEL_WARNING:
      return base::LogLevel::kWarning;
    case LoggerConfig::LEVEL_DEBUG:
      return base::LogLevel::kDebug;
    case LoggerConfig::LEVEL_TRACE:
      return base::LogLevel::kTrace;
    case LoggerConfig::LEVEL_INFO:
    default:
      return base::LogLevel::kInfo;
  }
}

}  // namespace

absl::Span<const Verb> LoggerResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kPut, Phase::kBeforeBoot, &kLoggerConfigSchema}};
  return kVerbs;
}

absl::StatusOr<Reply> LoggerResource::Handle(const Call& call) {
  const auto& body = BodyOf<LoggerConfig>(call);
  if (body.has_log_path()) {
    const absl::Status status = base::SetLogPath(body.log_path());
    if (!status.ok())
      return absl::InvalidArgumentError(absl::StrCat("log_path: ", status.message()));
  }
  base::LogOptions options = base::GetLogOptions();
  if (body.has_level()) options.level = LevelOf(body.level());
  if (body.has_show_level()) options.show_level = body.show_level();
  if (body.has_show_log_origin()) options.show_origin = body.show_log_origin();
  base::SetLogOptions(options);
  if (!logger_) logger_.emplace();
  logger_->MergeFrom(body);
  return Reply{};
}

std::vector<Reply> LoggerResource::Config() const {
  if (!logger_) return {};
  return OneReply(*logger_, kLoggerConfigSchema);
}

}  // namespace hearth
