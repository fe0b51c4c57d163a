// SPDX-License-Identifier: Apache-2.0
// MmioTransport's part of a snapshot. What comes back is hostile: nothing of it is believed.
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/core/mmio_registers.h"
#include "devices/virtio/core/mmio_transport.h"

namespace hearth::virtio {
namespace {

template <typename Got, typename Want>
absl::Status CheckEqual(absl::string_view field, const Got& got, const Want& want) {
  if (got == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", got, "; ", want, " is expected"));
}

absl::Status CheckAtMost(absl::string_view field, uint64_t got, uint64_t most) {
  if (got <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", got, " is above ", most));
}

// A status that the rules of WriteStatus() can lead to.
absl::Status CheckStatus(uint32_t status) {
  const uint32_t steps = status & ~(kFailed | kDeviceNeedsReset);
  const bool in_order = steps == 0 || steps == kAcknowledge || steps == (kAcknowledge | kDriver) ||
                        steps == (kAcknowledge | kDriver | kFeaturesOk) ||
                        steps == (kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
  const bool needs_reset = (status & kDeviceNeedsReset) != 0;
  if (in_order && (!needs_reset || (status & kDriverOk) != 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("status: 0x", absl::Hex(status), " is no state of a virtio device"));
}

absl::StatusOr<QueueConfig> ToConfig(const QueueState& state, uint16_t max_size) {
  HEARTH_RETURN_IF_ERROR(CheckAtMost("size", state.size(), UINT16_MAX));
  HEARTH_RETURN_IF_ERROR(CheckAtMost("next_avail", state.next_avail(), UINT16_MAX));
  HEARTH_RETURN_IF_ERROR(CheckAtMost("next_used", state.next_used(), UINT16_MAX));
  return QueueConfig{.max_size = max_size,
                     .size = static_cast<uint16_t>(state.size()),
                     .ready = state.ready(),
                     .guest_descriptor_table = state.descriptor_table(),
                     .guest_driver_area = state.driver_area(),
                     .guest_device_area = state.device_area(),
                     .next_avail = static_cast<uint16_t>(state.next_avail()),
                     .next_used = static_cast<uint16_t>(state.next_used())};
}

}  // namespace

DeviceState MmioTransport::Save() {
  absl::MutexLock lock(&mutex_);
  HEARTH_CHECK(!active_);
  DeviceState state;
  state.set_path(path_);
  state.set_virtio_id(device_->virtio_id());
  state.set_status(status_ | (needs_reset_ ? kDeviceNeedsReset : 0u));
  state.set_driver_features(driver_features_);
  state.set_driver_features_beyond(driver_features_beyond_);
  state.set_device_features_sel(device_features_sel_);
  state.set_driver_features_sel(driver_features_sel_);
  state.set_queue_sel(queue_sel_);
  state.set_interrupt_status(interrupt_.status());
  for (const QueueConfig& config : queues_) {
    QueueState* const queue = state.add_queues();
    queue->set_size(config.size);
    queue->set_ready(config.ready);
    queue->set_descriptor_table(config.guest_descriptor_table);
    queue->set_driver_area(config.guest_driver_area);
    queue->set_device_area(config.guest_device_area);
    queue->set_next_avail(config.next_avail);
    queue->set_next_used(config.next_used);
  }
  state.set_config_space(device_->config_space().Save());
  state.set_config_generation(device_->config_space().generation());
  CallDevice([&state](Device& device) { state.set_device(device.Save()); });
  return state;
}

absl::Status MmioTransport::Restore(const DeviceState& state) {
  absl::MutexLock lock(&mutex_);
  HEARTH_CHECK(!active_);
  HEARTH_RETURN_IF_ERROR(CheckEqual("path", state.path(), path_));
  HEARTH_RETURN_IF_ERROR(CheckEqual("virtio_id", state.virtio_id(), device_->virtio_id()));
  HEARTH_RETURN_IF_ERROR(CheckStatus(state.status()));
  HEARTH_RETURN_IF_ERROR(CheckAtMost("interrupt_status", state.interrupt_status(),
                                     Interrupt::kUsedBuffer | Interrupt::kConfigurationChange));
  const bool negotiated = (state.status() & kFeaturesOk) != 0;
  driver_features_beyond_ = state.driver_features_beyond();
  if (negotiated) {
    HEARTH_RETURN_IF_ERROR(CheckDriverFeatures(state.driver_features()), "driver_features");
  }
  const bool needs_reset = (state.status() & kDeviceNeedsReset) != 0;
  const bool active = (state.status() & kDriverOk) != 0 && !needs_reset;
  HEARTH_RETURN_IF_ERROR(
      CheckEqual("queues", state.queues_size(), static_cast<int>(queues_.size())));
  std::vector<QueueConfig> queues;
  for (size_t i = 0; i < queues_.size(); ++i) {
    const QueueState& saved = state.queues(static_cast<int>(i));
    const std::string name = absl::StrCat("queues[", i, "]");
    HEARTH_ASSIGN_OR_RETURN(const QueueConfig queue, ToConfig(saved, queues_[i].max_size), name);
    if (queue.ready && !negotiated)
      return absl::InvalidArgumentError(absl::StrCat(name, ": ready: true before FEATURES_OK"));
    if (queue.ready && active) HEARTH_RETURN_IF_ERROR(Queue::Check(*context_.memory, queue), name);
    queues.push_back(queue);
  }
  ConfigSpace& config_space = device_->config_space();
  HEARTH_RETURN_IF_ERROR(
      CheckEqual("config_space", state.config_space().size(), size_t{config_space.size_bytes()}));
  // A driver that was reading then, reads again.
  config_space.Restore(state.config_space(), state.config_generation() + 1);
  absl::Status restored;
  CallDevice([&](Device& device) { restored = device.Restore(state.device()); });
  HEARTH_RETURN_IF_ERROR(restored, "device");

  pristine_ = false;
  paused_ = true;
  status_ = state.status() & ~kDeviceNeedsReset;
  needs_reset_ = needs_reset;
  driver_features_ = state.driver_features();
  device_features_sel_ = state.device_features_sel();
  driver_features_sel_ = state.driver_features_sel();
  queue_sel_ = state.queue_sel();
  queues_ = std::move(queues);
  interrupt_.Restore(state.interrupt_status());
  return absl::OkStatus();
}

}  // namespace hearth::virtio
