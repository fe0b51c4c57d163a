// SPDX-License-Identifier: Apache-2.0
// NetDevice: what the driver sets by the control queue, and what of it a snapshot keeps.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_state.pb.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

void SaveBucket(std::optional<base::TokenBucket>& bucket, base::MonotonicTime now,
                BucketLevel* level) {
  const base::TokenBucket::State state = bucket->Save(now);
  level->set_budget(state.budget);
  level->set_one_time_burst(state.one_time_burst);
}

void SaveLimiter(base::RateLimiter& limiter, base::MonotonicTime now, LimiterLevel* level) {
  if (limiter.bandwidth()) SaveBucket(limiter.bandwidth(), now, level->mutable_bandwidth());
  if (limiter.ops()) SaveBucket(limiter.ops(), now, level->mutable_ops());
}

// A bucket that the snapshot or the configuration does not have stays as it is.
void RestoreBucket(const BucketLevel& level, base::MonotonicTime now,
                   std::optional<base::TokenBucket>& bucket) {
  if (!bucket) return;
  bucket->Restore({.budget = level.budget(), .one_time_burst = level.one_time_burst()}, now);
}

void RestoreLimiter(const LimiterLevel& level, base::MonotonicTime now,
                    base::RateLimiter& limiter) {
  if (level.has_bandwidth()) RestoreBucket(level.bandwidth(), now, limiter.bandwidth());
  if (level.has_ops()) RestoreBucket(level.ops(), now, limiter.ops());
}

}  // namespace

bool NetDevice::SetReceiveMode(RxCommand command, bool on) {
  settings_.SetMode(command, on);
  ApplyFilter();
  return true;
}

bool NetDevice::SetMacTable(MacTable table) {
  settings_.table = std::move(table);
  ApplyFilter();
  return true;
}

bool NetDevice::SetMacAddress(const MacAddress& mac) {
  if (!IsUnicast(mac)) return false;
  settings_.mac = mac;
  counters_.mac_address_updates.Add();
  ApplyMac();
  ApplyFilter();
  return true;
}

bool NetDevice::AcknowledgeAnnounce() {
  if (!std::exchange(announcing_, false)) return false;
  UpdateStatus();
  return true;
}

bool NetDevice::SetQueuePairs(uint16_t pairs) {
  if (pairs < 1 || pairs > pairs_.size()) return false;
  const uint16_t before = std::exchange(settings_.queue_pairs, pairs);
  if (!ApplyPairs()) {
    settings_.queue_pairs = before;
    ApplyPairs();
    return false;
  }
  RunAll();
  return true;
}

bool NetDevice::SetGuestOffloads(uint64_t offloads) {
  if ((offloads & ~(driver_features_ & kGuestOffloads)) != 0) return false;
  const std::optional<uint64_t> before = std::exchange(settings_.guest_offloads, offloads);
  if (ApplyOffloads()) return true;
  settings_.guest_offloads = before;
  return false;
}

void NetDevice::ApplyMac() {
  if (settings_.mac.has_value()) config_.StoreBytes(kConfigMac, *settings_.mac);
  for (const auto& pair : pairs_) pair->tx.SetMac(settings_.mac);
}

void NetDevice::ApplyFilter() { backend_->SetFilter(settings_.Filter(driver_features_)); }

bool NetDevice::ApplyOffloads() {
  const absl::Status status = backend_->SetGuestOffloads(
      settings_.guest_offloads.value_or(kGuestOffloads) & driver_features_);
  if (!status.ok()) HEARTH_LOG(kError, options_.path, ": ", status.message());
  return status.ok();
}

bool NetDevice::ApplyPairs() {
  const absl::Status status = backend_->SetPairs(settings_.queue_pairs);
  if (!status.ok()) HEARTH_LOG(kError, options_.path, ": ", status.message());
  return status.ok();
}

std::string NetDevice::Save() {
  NetState state;
  settings_.SaveTo(&state);
  const base::MonotonicTime now = Now();
  SaveLimiter(rx_throttle_.limiter(), now, state.mutable_rx());
  SaveLimiter(tx_throttle_.limiter(), now, state.mutable_tx());
  return state.SerializeAsString();
}

absl::Status NetDevice::Restore(absl::string_view bytes) {
  NetState state;
  if (!state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("the state is not a NetState");
  }
  HEARTH_ASSIGN_OR_RETURN(DriverSettings settings, DriverSettings::Load(state, pairs_.size()));
  if (!settings.mac.has_value()) settings.mac = options_.mac;
  settings_ = std::move(settings);
  const base::MonotonicTime now = Now();
  RestoreLimiter(state.rx(), now, rx_throttle_.limiter());
  RestoreLimiter(state.tx(), now, tx_throttle_.limiter());
  restored_ = true;
  announcing_ = false;
  ApplyMac();
  UpdateStatus();
  return absl::OkStatus();
}

}  // namespace hearth::virtio::net
