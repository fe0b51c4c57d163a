// SPDX-License-Identifier: Apache-2.0
// /drives/{drive_id}, and /drives: all of them.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_DRIVE_RESOURCE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_DRIVE_RESOURCE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "devices/virtio/block/drive_family.h"
#include "runtime/control/resource.h"

namespace hearth::virtio::block {

class DriveResource final : public Resource {
 public:
  // `family` outlives the resource; main thread.
  explicit DriveResource(DriveFamily* family) : family_(*family) {}

  absl::string_view path() const override { return "/drives/{drive_id}"; }
  absl::string_view config_key() const override { return "drives"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  DriveFamily& family_;
};

class DriveListResource final : public Resource {
 public:
  // `family` outlives the resource; main thread.
  explicit DriveListResource(DriveFamily* family) : family_(*family) {}

  absl::string_view path() const override { return "/drives"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  DriveFamily& family_;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_DRIVE_RESOURCE_H_
