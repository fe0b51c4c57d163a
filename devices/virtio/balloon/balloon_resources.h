// SPDX-License-Identifier: Apache-2.0
// The nouns of the balloon: /balloon, /balloon/statistics, /balloon/hinting/{start,status,stop}.
// The family outlives them. Main thread.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_RESOURCES_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_RESOURCES_H_

#include <vector>

#include "devices/virtio/balloon/balloon_family.h"
#include "runtime/control/resource.h"

namespace hearth::virtio::balloon {

class BalloonResource final : public Resource {
 public:
  explicit BalloonResource(BalloonFamily* family) : family_(*family) {}
  absl::string_view path() const override { return "/balloon"; }
  absl::string_view config_key() const override { return "balloon"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  BalloonFamily& family_;
};

class BalloonStatisticsResource final : public Resource {
 public:
  explicit BalloonStatisticsResource(BalloonFamily* family) : family_(*family) {}
  absl::string_view path() const override { return "/balloon/statistics"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  BalloonFamily& family_;
};

class BalloonHintingStartResource final : public Resource {
 public:
  explicit BalloonHintingStartResource(BalloonFamily* family) : family_(*family) {}
  absl::string_view path() const override { return "/balloon/hinting/start"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  BalloonFamily& family_;
};

class BalloonHintingStatusResource final : public Resource {
 public:
  explicit BalloonHintingStatusResource(BalloonFamily* family) : family_(*family) {}
  absl::string_view path() const override { return "/balloon/hinting/status"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  BalloonFamily& family_;
};

class BalloonHintingStopResource final : public Resource {
 public:
  explicit BalloonHintingStopResource(BalloonFamily* family) : family_(*family) {}
  absl::string_view path() const override { return "/balloon/hinting/stop"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  BalloonFamily& family_;
};

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_RESOURCES_H_
