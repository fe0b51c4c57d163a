// SPDX-License-Identifier: Apache-2.0
// What the balloon does for the host: its state, its metrics and the API's nouns.
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/balloon/balloon_device.h"
#include "devices/virtio/balloon/balloon_state.pb.h"

namespace hearth::virtio::balloon {
namespace {

constexpr absl::string_view kNoHinting =
    "Free page hinting was not enabled when the balloon was configured; free_page_hinting must be "
    "true before the start.";

}  // namespace

std::string BalloonDevice::Save() {
  BalloonState state;
  state.set_driver_active(driver_active_);
  state.set_config_changed(config_changed_);
  state.set_stats_polling_interval_s(options_.stats_polling_interval_s);
  *state.mutable_statistics() = statistics_;
  state.set_statistics_counted(statistics_counted_);
  state.set_last_hinting_command(hinting_.last_command());
  if (const auto guest = hinting_.guest_command()) state.set_guest_hinting_command(*guest);
  state.set_acknowledge_on_stop(hinting_.acknowledge_on_stop());
  if (ballooned_) state.set_ballooned_pages(ballooned_->Save());
  return state.SerializeAsString();
}

absl::Status BalloonDevice::Restore(absl::string_view serialized) {
  BalloonState state;
  if (!state.ParseFromArray(serialized.data(), static_cast<int>(serialized.size())))
    return absl::InvalidArgumentError("state: not a BalloonState");
  HEARTH_RETURN_IF_ERROR(CheckAmount(target_pages() / kPagesPerMib, *memory_));
  const uint32_t interval = state.stats_polling_interval_s();
  if ((interval == 0) != (options_.stats_polling_interval_s == 0) || interval > UINT16_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("stats_polling_interval_s: got ", interval, ", must be ",
                     options_.stats_polling_interval_s == 0 ? "0" : "from 1 to 65535",
                     " as the device is configured"));
  }
  Hinting hinting;
  const uint32_t host_command = config_.Load<uint32_t>(kConfigHintCommand);
  const std::optional<uint32_t> guest_command = state.has_guest_hinting_command()
                                                    ? std::optional(state.guest_hinting_command())
                                                    : std::nullopt;
  if (!hinting.Restore(host_command, guest_command, state.last_hinting_command(),
                       state.acknowledge_on_stop())) {
    return absl::InvalidArgumentError(
        absl::StrCat("last_hinting_command: got ", state.last_hinting_command(),
                     ", does not fit the command ", host_command, " that the guest sees"));
  }
  const std::string& ballooned = state.ballooned_pages();
  if (ballooned_ ? !ballooned_->Restore(ballooned) : !ballooned.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ballooned_pages: got ", ballooned.size(), " bytes, which do not fit memory"));
  }
  hinting_ = hinting;
  options_.stats_polling_interval_s = interval;
  statistics_ = std::move(*state.mutable_statistics());
  statistics_counted_ = state.statistics_counted();
  driver_active_ = state.driver_active();
  config_changed_ = state.config_changed();
  return absl::OkStatus();
}

void BalloonDevice::VisitMetrics(base::MetricVisitor visitor) const {
  visitor("inflate_count", counters_.inflate_count.value());
  visitor("inflate_pages", counters_.inflate_pages.value());
  visitor("inflate_freed", counters_.inflate_freed.value());
  visitor("inflate_fails", counters_.inflate_fails.value());
  visitor("deflate_count", counters_.deflate_count.value());
  visitor("deflate_pages", counters_.deflate_pages.value());
  visitor("invalid_pages", counters_.invalid_pages.value());
  visitor("stats_updates_count", counters_.stats_updates_count.value());
  visitor("stats_update_fails", counters_.stats_update_fails.value());
  visitor("free_page_hint_count", counters_.free_page_hint_count.value());
  visitor("free_page_hint_freed", counters_.free_page_hint_freed.value());
  visitor("free_page_hint_fails", counters_.free_page_hint_fails.value());
  visitor("free_page_report_count", counters_.free_page_report_count.value());
  visitor("free_page_report_freed", counters_.free_page_report_freed.value());
  visitor("free_page_report_fails", counters_.free_page_report_fails.value());
  visitor("discards", counters_.discards.value());
  visitor("event_fails", counters_.event_fails.value());
}

absl::Status BalloonDevice::CheckAmount(uint32_t amount_mib, const GuestMemory& memory) {
  const uint64_t most = memory.size_bytes() >> 20;
  if (amount_mib <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "amount_mib: got ", amount_mib, ", must be at most the machine's mem_size_mib of ", most));
}

absl::Status BalloonDevice::SetTarget(uint32_t amount_mib) {
  HEARTH_RETURN_IF_ERROR(CheckAmount(amount_mib, *memory_));
  config_.Store(kConfigNumPages, amount_mib * kPagesPerMib);
  ConfigChanged();
  return absl::OkStatus();
}

absl::Status BalloonDevice::SetStatsPollingInterval(uint32_t seconds) {
  if (seconds == options_.stats_polling_interval_s) return absl::OkStatus();
  if (seconds == 0 || options_.stats_polling_interval_s == 0) {
    return absl::FailedPreconditionError(
        "Statistics cannot be turned on or off after boot: stats_polling_interval_s stays 0, or "
        "other than 0.");
  }
  options_.stats_polling_interval_s = seconds;
  next_refresh_ = std::chrono::steady_clock::now();
  RefreshStatistics();
  return absl::OkStatus();
}

absl::StatusOr<BalloonStatistics> BalloonDevice::Statistics() const {
  if (options_.stats_polling_interval_s == 0) {
    return absl::FailedPreconditionError(
        "The balloon statistics were not enabled when the device was configured; "
        "stats_polling_interval_s must be set before the start.");
  }
  BalloonStatistics statistics = statistics_;
  const uint32_t guest_actual = config_.Load<uint32_t>(kConfigActual);
  statistics.set_target_pages(target_pages());
  statistics.set_actual_pages(guest_actual);
  statistics.set_target_mib(target_pages() / kPagesPerMib);
  statistics.set_actual_mib(guest_actual / kPagesPerMib);
  return statistics;
}

absl::Status BalloonDevice::StartHinting(bool acknowledge_on_stop) {
  if (!options_.free_page_hinting) return absl::FailedPreconditionError(kNoHinting);
  if (!driver_active_) {
    return absl::FailedPreconditionError(
        "The balloon is inactive: the guest has no driver for it, or has not started it yet.");
  }
  if (host_ != nullptr && (negotiated_ & kFeatureFreePageHint) == 0) {
    return absl::FailedPreconditionError("The guest's balloon driver knows no free page hinting.");
  }
  hinting_.Start(acknowledge_on_stop);
  SetHostCommand();
  return absl::OkStatus();
}

absl::Status BalloonDevice::StopHinting() {
  if (!options_.free_page_hinting) return absl::FailedPreconditionError(kNoHinting);
  hinting_.Finish();
  SetHostCommand();
  return absl::OkStatus();
}

absl::StatusOr<BalloonHintingStatus> BalloonDevice::HintingStatus() const {
  if (!options_.free_page_hinting) return absl::FailedPreconditionError(kNoHinting);
  BalloonHintingStatus status;
  status.set_host_cmd(hinting_.host_command());
  if (const auto guest = hinting_.guest_command()) status.set_guest_cmd(*guest);
  return status;
}

void BalloonDevice::SetHostCommand() {
  config_.Store(kConfigHintCommand, hinting_.host_command());
  ConfigChanged();
}

void BalloonDevice::ConfigChanged() {
  config_changed_ = host_ == nullptr && driver_active_;
  if (host_ != nullptr) host_->ConfigChanged();
}

}  // namespace hearth::virtio::balloon
