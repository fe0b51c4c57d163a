// SPDX-License-Identifier: Apache-2.0
// BalloonDevice: the traditional memory balloon.
//
// The guest names pages that it does not need, in four ways, and the device gives them back to the
// host (GuestMemory::Discard): pages in the balloon (inflate; the guest keeps off them until it
// deflates), free pages that it reports whenever it has some, and free pages that it hints in a run
// that the host has asked for. Nothing has to be done for a page to come back: it reads zero at the
// next touch.
//
// What the driver says is about its own memory, so the worst that a bad one can do is to lose its
// own data. Pages outside of memory are counted and skipped. A request of any length is worked off
// in turns, so that other devices of the thread are served in between.
//
// Source: virtio 1.2, "Traditional Memory Balloon Device".
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_DEVICE_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_DEVICE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "devices/virtio/balloon/balloon.pb.h"
#include "devices/virtio/balloon/hinting.h"
#include "devices/virtio/balloon/page_runs.h"
#include "devices/virtio/balloon/page_set.h"
#include "devices/virtio/core/device.h"

namespace hearth::virtio::balloon {

inline constexpr uint32_t kVirtioId = 5;
inline constexpr uint32_t kPagesPerMib = (1 << 20) >> kPageShift;

// "Feature bits".
inline constexpr uint64_t kFeatureMustTellHost = 1 << 0;
inline constexpr uint64_t kFeatureStatsVq = 1 << 1;
inline constexpr uint64_t kFeatureDeflateOnOom = 1 << 2;
inline constexpr uint64_t kFeatureFreePageHint = 1 << 3;
inline constexpr uint64_t kFeaturePagePoison = 1 << 4;
inline constexpr uint64_t kFeaturePageReporting = 1 << 5;

// "Device configuration layout".
inline constexpr uint32_t kConfigNumPages = 0;
inline constexpr uint32_t kConfigActual = 4;
inline constexpr uint32_t kConfigHintCommand = 8;
inline constexpr uint32_t kConfigPoisonValue = 12;
inline constexpr uint32_t kConfigSize = 16;

class BalloonDevice final : public Device {
 public:
  struct Options {
    uint32_t target_pages = 0;
    bool deflate_on_oom = false;
    uint32_t stats_polling_interval_s = 0;  // 0: no statistics
    bool free_page_hinting = false;
    bool free_page_reporting = false;
  };

  BalloonDevice(const DeviceContext& context, const Options& options);
  ~BalloonDevice() override;

  // --- Device.
  uint32_t virtio_id() const override { return kVirtioId; }
  uint64_t features() const override { return features_; }
  absl::Span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
  ConfigSpace& config_space() override { return config_; }
  void Activate(Activation activation) override;
  void OnNotify(uint16_t queue) override;
  void Deactivate(absl::AnyInvocable<void(Queues)> done) override;
  void Reset() override;
  std::string Save() override;
  absl::Status Restore(absl::string_view state) override;
  void VisitMetrics(base::MetricVisitor visitor) const override;

  // --- For the API's nouns; device thread, active or not. Errors are FailedPrecondition, or
  // InvalidArgument and begin with the field.
  uint32_t target_pages() const { return config_.Load<uint32_t>(kConfigNumPages); }
  absl::Status SetTarget(uint32_t amount_mib);
  uint32_t stats_polling_interval_s() const { return options_.stats_polling_interval_s; }
  absl::Status SetStatsPollingInterval(uint32_t seconds);
  absl::StatusOr<BalloonStatistics> Statistics() const;
  absl::Status StartHinting(bool acknowledge_on_stop);
  absl::Status StopHinting();
  absl::StatusOr<BalloonHintingStatus> HintingStatus() const;

  // Is a balloon of this size possible? The error begins with "amount_mib: ".
  static absl::Status CheckAmount(uint32_t amount_mib, const GuestMemory& memory);

 private:
  enum Role : uint8_t { kInflate, kDeflate, kStats, kHint, kReport, kRoles };

  // An array of page numbers that may take more than one turn.
  struct PageArray {
    DescriptorChain chain;
    uint32_t offset = 0;  // in bytes, of what is still to do
  };

  // Only with a driver that tells before it takes a page back (MUST_TELL_HOST): else a page could
  // be in use that the set still has.
  bool tracks_pages() const {
    return ballooned_.has_value() && (negotiated_ & kFeatureMustTellHost) != 0;
  }
  Queue* queue(Role role) const { return queues_[roles_[role]].get(); }
  // Takes requests from a queue until it is empty or the turn's budget is used up.
  void Serve(Role role);
  // Works on what is next in the queue; false where there is nothing more to do for now.
  bool ServeOne(Role role, Queue* queue);
  void ServeAll();
  // False when the budget ran out before the end of the array.
  bool WorkOff(PageArray* array, Role role);
  // Page numbers that are not of memory are counted and left out. Sorts `pages`.
  void ForEachRunInMemory(absl::Span<uint32_t> pages, absl::FunctionRef<void(PageRun)> take);
  void Inflate(PageRun run);
  void HoldStatistics(Queue* queue);
  void RefreshStatistics();
  void TakeHints(Queue* queue);
  void TakeReport(Queue* queue);
  // Gives a range back; false, and counted, if that failed. Adds the bytes that went back.
  bool Discard(GuestAddress start, uint64_t size, base::Counter* freed, base::Counter* fails);
  bool DiscardVectors(absl::Span<const iovec> vectors, base::Counter* freed, base::Counter* fails);
  void SetHostCommand();
  void ConfigChanged();

  GuestMemory* const memory_;
  base::EventLoop* const loop_;
  Options options_;
  const uint64_t features_;
  std::vector<uint16_t> queue_sizes_;
  ConfigSpace config_;

  // --- Device thread.
  Hinting hinting_;
  BalloonStatistics statistics_;
  // Only where the host's pages are larger than 4 KiB.
  std::optional<PageSet> ballooned_;
  bool driver_active_ = false;   // since the last reset
  bool config_changed_ = false;  // the driver is to be told as soon as it is there
  // The buffer that comes next from the stats queue was in the device's hands before.
  bool statistics_counted_ = false;

  // --- While active.
  DeviceHost* host_ = nullptr;  // nullptr while not active
  uint64_t negotiated_ = 0;
  uint32_t poison_value_ = 0;
  Queues queues_;
  std::array<uint8_t, kRoles> roles_{};  // index in queues_; of those not negotiated, past its end
  PageArray arrays_[2];                  // kInflate, kDeflate
  DescriptorChain chain_;                // of the request at hand
  DescriptorChain statistics_chain_;     // pending: kept until the next refresh
  base::MonotonicTime next_refresh_ = base::MonotonicTime::max();
  std::optional<base::Timer> refresh_timer_;
  std::optional<base::TurnTask> next_turn_;
  int64_t budget_ = 0;  // of this turn, in page numbers
  bool discard_failed_ = false;
  static constexpr uint32_t kBatch = 1024;
  std::array<uint32_t, kBatch> batch_;

  struct Counters {
    base::Counter inflate_count, inflate_pages, inflate_freed, inflate_fails;
    base::Counter deflate_count, deflate_pages;
    base::Counter invalid_pages;
    base::Counter stats_updates_count, stats_update_fails;
    base::Counter free_page_hint_count, free_page_hint_freed, free_page_hint_fails;
    base::Counter free_page_report_count, free_page_report_freed, free_page_report_fails;
    base::Counter discards;
    base::Counter event_fails;
  } counters_;
};

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_DEVICE_H_
