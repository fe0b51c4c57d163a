// SPDX-License-Identifier: Apache-2.0
// BalloonFamily: the balloon of this process, at most one: its configuration, its nouns and, once
// the machine runs, its device. Main thread.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_FAMILY_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_FAMILY_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/virtio/balloon/balloon.json.h"
#include "devices/virtio/balloon/balloon_device.h"
#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::balloon {

class BalloonFamily final : public DeviceFamily {
 public:
  void AddResources(std::vector<std::unique_ptr<Resource>>* resources) override;
  std::vector<DeviceRequest> Requests() override;
  void Attach(std::vector<DeviceHandle> handles) override;

  // --- For the nouns. FailedPrecondition where there is no balloon; InvalidArgument names the
  // field.
  // Before the start.
  void Put(const BalloonConfig& config);
  absl::Status SetAmount(uint32_t amount_mib);
  absl::Status SetStatsPollingInterval(uint32_t seconds);
  // As it is now.
  absl::StatusOr<BalloonConfig> Config() const;
  bool configured() const { return config_.has_value(); }
  // Runs `work` on the device's thread. After the start.
  absl::Status Run(absl::FunctionRef<absl::Status(BalloonDevice&)> work) const;

 private:
  std::optional<BalloonConfig> config_;
  DeviceHandle device_;
};

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_FAMILY_H_
