// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/balloon_resources.h"

#include <utility>

#include "base/status_macros.h"
#include "runtime/control/reply.h"

namespace hearth::virtio::balloon {

absl::Span<const Verb> BalloonResource::verbs() const {
  static constexpr Verb kVerbs[] = {
      {Method::kGet, Phase::kAny},
      {Method::kPut, Phase::kBeforeBoot, &kBalloonConfigSchema},
      {Method::kPatch, Phase::kAny, &kBalloonUpdateSchema},
  };
  return kVerbs;
}

absl::StatusOr<Reply> BalloonResource::Handle(const Call& call) {
  switch (call.method) {
    case Method::kGet: {
      HEARTH_ASSIGN_OR_RETURN(BalloonConfig config, family_.Config());
      return ReplyWith(std::move(config), kBalloonConfigSchema);
    }
    case Method::kPut:
      family_.Put(BodyOf<BalloonConfig>(call));
      break;
    case Method::kPatch:
      HEARTH_RETURN_IF_ERROR(family_.SetAmount(BodyOf<BalloonUpdate>(call).amount_mib()));
  }
  return Reply{};
}

std::vector<Reply> BalloonResource::Config() const {
  absl::StatusOr<BalloonConfig> config = family_.Config();
  if (!config.ok()) return {};
  return OneReply(*std::move(config), kBalloonConfigSchema);
}

absl::Span<const Verb> BalloonStatisticsResource::verbs() const {
  static constexpr Verb kVerbs[] = {
      {Method::kGet, Phase::kAfterBoot},
      {Method::kPatch, Phase::kAny, &kBalloonStatisticsUpdateSchema},
  };
  return kVerbs;
}

absl::StatusOr<Reply> BalloonStatisticsResource::Handle(const Call& call) {
  if (call.method == Method::kPatch) {
    HEARTH_RETURN_IF_ERROR(family_.SetStatsPollingInterval(
        BodyOf<BalloonStatisticsUpdate>(call).stats_polling_interval_s()));
    return Reply{};
  }
  BalloonStatistics statistics;
  HEARTH_RETURN_IF_ERROR(family_.Run([&](BalloonDevice& device) -> absl::Status {
    HEARTH_ASSIGN_OR_RETURN(statistics, device.Statistics());
    return absl::OkStatus();
  }));
  return ReplyWith(std::move(statistics), kBalloonStatisticsSchema);
}

absl::Span<const Verb> BalloonHintingStartResource::verbs() const {
  static constexpr Verb kVerbs[] = {{.method = Method::kPatch,
                                     .phase = Phase::kAfterBoot,
                                     .body = &kBalloonHintingStartSchema,
                                     .body_optional = true}};
  return kVerbs;
}

absl::StatusOr<Reply> BalloonHintingStartResource::Handle(const Call& call) {
  const auto& body = BodyOf<BalloonHintingStart>(call);
  const bool acknowledge = !body.has_acknowledge_on_stop() || body.acknowledge_on_stop();
  HEARTH_RETURN_IF_ERROR(family_.Run(
      [acknowledge](BalloonDevice& device) { return device.StartHinting(acknowledge); }));
  return Reply{};
}

absl::Span<const Verb> BalloonHintingStatusResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kGet, Phase::kAfterBoot}};
  return kVerbs;
}

absl::StatusOr<Reply> BalloonHintingStatusResource::Handle(const Call&) {
  BalloonHintingStatus status;
  HEARTH_RETURN_IF_ERROR(family_.Run([&](BalloonDevice& device) -> absl::Status {
    HEARTH_ASSIGN_OR_RETURN(status, device.HintingStatus());
    return absl::OkStatus();
  }));
  return ReplyWith(std::move(status), kBalloonHintingStatusSchema);
}

absl::Span<const Verb> BalloonHintingStopResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kPatch, Phase::kAfterBoot}};
  return kVerbs;
}

absl::StatusOr<Reply> BalloonHintingStopResource::Handle(const Call&) {
  HEARTH_RETURN_IF_ERROR(family_.Run([](BalloonDevice& device) { return device.StopHinting(); }));
  return Reply{};
}

}  // namespace hearth::virtio::balloon
