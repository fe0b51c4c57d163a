// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/balloon_family.h"

#include <utility>

#include "base/status_macros.h"
#include "devices/virtio/balloon/balloon_resources.h"

namespace hearth::virtio::balloon {
namespace {

constexpr char kPath[] = "balloon";

absl::Status NotConfigured() {
  return absl::FailedPreconditionError("Balloon device not configured.");
}

BalloonDevice::Options ToOptions(const BalloonConfig& config) {
  return {.target_pages = config.amount_mib() * kPagesPerMib,
          .deflate_on_oom = config.deflate_on_oom(),
          .stats_polling_interval_s = config.stats_polling_interval_s(),
          .free_page_hinting = config.free_page_hinting(),
          .free_page_reporting = config.free_page_reporting()};
}

}  // namespace

void BalloonFamily::AddResources(std::vector<std::unique_ptr<Resource>>* resources) {
  resources->push_back(std::make_unique<BalloonResource>(this));
  resources->push_back(std::make_unique<BalloonStatisticsResource>(this));
  resources->push_back(std::make_unique<BalloonHintingStartResource>(this));
  resources->push_back(std::make_unique<BalloonHintingStatusResource>(this));
  resources->push_back(std::make_unique<BalloonHintingStopResource>(this));
}

std::vector<DeviceRequest> BalloonFamily::Requests() {
  std::vector<DeviceRequest> requests;
  if (!config_) return requests;
  requests.push_back(
      {.path = kPath,
       .io_thread = config_->io_thread(),
       .create = [config = *config_](
                     const DeviceContext& context) -> absl::StatusOr<std::unique_ptr<Device>> {
         HEARTH_RETURN_IF_ERROR(BalloonDevice::CheckAmount(config.amount_mib(), *context.memory),
                                kPath);
         return std::make_unique<BalloonDevice>(context, ToOptions(config));
       }});
  return requests;
}

void BalloonFamily::Attach(std::vector<DeviceHandle> handles) {
  device_ = handles.empty() ? DeviceHandle() : handles.front();
}

void BalloonFamily::Put(const BalloonConfig& config) {
  // What the body leaves out is told in GET, as Firecracker does.
  BalloonConfig whole;
  whole.set_stats_polling_interval_s(0);
  whole.set_free_page_hinting(false);
  whole.set_free_page_reporting(false);
  whole.MergeFrom(config);
  config_ = std::move(whole);
}

absl::Status BalloonFamily::SetAmount(uint32_t amount_mib) {
  if (!config_) return NotConfigured();
  if (device_) {
    HEARTH_RETURN_IF_ERROR(
        Run([amount_mib](BalloonDevice& device) { return device.SetTarget(amount_mib); }));
  }
  config_->set_amount_mib(amount_mib);
  return absl::OkStatus();
}

absl::Status BalloonFamily::SetStatsPollingInterval(uint32_t seconds) {
  if (!config_) return NotConfigured();
  if (device_) {
    HEARTH_RETURN_IF_ERROR(
        Run([seconds](BalloonDevice& device) { return device.SetStatsPollingInterval(seconds); }));
  }
  config_->set_stats_polling_interval_s(seconds);
  return absl::OkStatus();
}

absl::StatusOr<BalloonConfig> BalloonFamily::Config() const {
  if (!config_) return NotConfigured();
  BalloonConfig config = *config_;
  if (device_) {
    // A restore may have brought others.
    HEARTH_RETURN_IF_ERROR(Run([&config](BalloonDevice& device) {
      config.set_amount_mib(device.target_pages() / kPagesPerMib);
      config.set_stats_polling_interval_s(device.stats_polling_interval_s());
      return absl::OkStatus();
    }));
  }
  return config;
}

absl::Status BalloonFamily::Run(absl::FunctionRef<absl::Status(BalloonDevice&)> work) const {
  if (!config_ || !device_) return NotConfigured();
  return device_.Run([&](Device& device) { return work(static_cast<BalloonDevice&>(device)); });
}

}  // namespace hearth::virtio::balloon
