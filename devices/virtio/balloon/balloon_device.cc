// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/balloon_device.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/balloon/statistics.h"

namespace hearth::virtio::balloon {
namespace {

using Clock = std::chrono::steady_clock;

// Of every queue. Linux wants 32 for reporting; a longer one for hints would only let them grow
// old.
constexpr uint16_t kQueueSize = 128;
// Page numbers a turn, in whole batches: more than a Linux driver sends at once. If they are
// scattered, each costs a system call, 6 us where it was measured.
constexpr int64_t kTurnBudget = 512;
// What a request costs besides its page numbers, and a range of any size in one.
constexpr int64_t kRequestCost = 16;

uint64_t OfferedFeatures(const BalloonDevice::Options& options) {
  uint64_t features = kFeatureMustTellHost;
  if (options.stats_polling_interval_s > 0) features |= kFeatureStatsVq;
  if (options.deflate_on_oom) features |= kFeatureDeflateOnOom;
  if (options.free_page_hinting) features |= kFeatureFreePageHint;
  if (options.free_page_reporting) features |= kFeaturePageReporting;
  // A guest that fills its free pages must not report them unless the device knows that.
  if (options.free_page_reporting) features |= kFeaturePagePoison;
  return features;
}

// Of the highest guest address.
uint64_t PageCount(const GuestMemory& memory) {
  const GuestMemory::Region& last = memory.regions().back();
  return (last.start.value() + last.size_bytes) >> kPageShift;
}

}  // namespace

BalloonDevice::BalloonDevice(const DeviceContext& context, const Options& options)
    : memory_(context.memory),
      loop_(context.loop),
      options_(options),
      features_(OfferedFeatures(options)),
      queue_sizes_(2 + (options.stats_polling_interval_s > 0) + options.free_page_hinting +
                       options.free_page_reporting,
                   kQueueSize),
      config_(kConfigSize) {
  config_.AllowDriverWrite(kConfigActual, sizeof(uint32_t));
  config_.AllowDriverWrite(kConfigPoisonValue, sizeof(uint32_t));
  config_.Store(kConfigNumPages, options.target_pages);
  if (memory_->host_page_size() > 1 << kPageShift) ballooned_.emplace(PageCount(*memory_));
}

BalloonDevice::~BalloonDevice() {
  statistics_chain_.Drop();
  for (PageArray& array : arrays_) array.chain.Drop();
}

void BalloonDevice::Activate(Activation activation) {
  host_ = activation.host;
  negotiated_ = activation.features;
  queues_ = std::move(activation.queues);
  poison_value_ =
      (negotiated_ & kFeaturePagePoison) != 0 ? config_.Load<uint32_t>(kConfigPoisonValue) : 0;
  // Queues of features that were not negotiated do not exist, and the next ones take their numbers.
  roles_.fill(UINT8_MAX);
  roles_[kInflate] = 0;
  roles_[kDeflate] = 1;
  uint8_t next = 2;
  if ((negotiated_ & kFeatureStatsVq) != 0) roles_[kStats] = next++;
  if ((negotiated_ & kFeatureFreePageHint) != 0) roles_[kHint] = next++;
  if ((negotiated_ & kFeaturePageReporting) != 0) roles_[kReport] = next++;
  HEARTH_CHECK(next <= queues_.size());

  next_turn_.emplace(loop_, [this] { ServeAll(); });
  refresh_timer_.emplace(loop_, [this] { RefreshStatistics(); });
  // Pauses do not put a refresh off.
  next_refresh_ = std::min(next_refresh_,
                           Clock::now() + std::chrono::seconds(options_.stats_polling_interval_s));
  driver_active_ = true;
  discard_failed_ = false;
  if (config_changed_) ConfigChanged();
  ServeAll();
}

void BalloonDevice::OnNotify(uint16_t queue) {
  for (int role = 0; role < kRoles; ++role) {
    if (roles_[role] != queue) continue;
    budget_ = kTurnBudget;
    Serve(static_cast<Role>(role));
  }
}

void BalloonDevice::ServeAll() {
  budget_ = kTurnBudget;
  for (int role = 0; role < kRoles; ++role) Serve(static_cast<Role>(role));
}

void BalloonDevice::Serve(Role role) {
  if (host_ == nullptr || roles_[role] >= queues_.size()) return;
  Queue* const queue = this->queue(role);
  if (queue == nullptr || queue->faulted()) return;
  while (budget_ > 0 && ServeOne(role, queue)) budget_ -= kRequestCost;
  queue->Publish();
  if (queue->faulted()) {
    refresh_timer_->Cancel();
    host_->NeedsReset(queue->fault());
  } else if (budget_ <= 0) {
    next_turn_->Schedule();
  }
}

bool BalloonDevice::ServeOne(Role role, Queue* queue) {
  if (role == kInflate || role == kDeflate) {
    PageArray& array = arrays_[role];
    if (!array.chain.pending()) {
      if (queue->Pop(&array.chain) != Queue::PopResult::kChain) return false;
      array.offset = 0;
    }
    if (!WorkOff(&array, role)) return false;
    queue->Complete(&array.chain, 0);
    (role == kInflate ? counters_.inflate_count : counters_.deflate_count).Add();
    return true;
  }
  if (queue->Pop(&chain_) != Queue::PopResult::kChain) return false;
  switch (role) {
    case kStats:
      HoldStatistics(queue);
      break;
    case kHint:
      TakeHints(queue);
      break;
    default:
      TakeReport(queue);
  }
  return true;
}

bool BalloonDevice::WorkOff(PageArray* array, Role role) {
  const uint32_t bytes = array->chain.readable_bytes();
  if (array->offset == 0 && bytes % sizeof(uint32_t) != 0) counters_.event_fails.Add();
  while (bytes - array->offset >= sizeof(uint32_t)) {
    if (budget_ <= 0) return false;
    const auto pages = absl::MakeSpan(batch_).subspan(
        0, std::min<size_t>((bytes - array->offset) / sizeof(uint32_t), kBatch));
    const auto size = static_cast<uint32_t>(pages.size() * sizeof(uint32_t));
    HEARTH_CHECK(array->chain.CopyOut(array->offset, pages.data(), size));
    array->offset += size;
    budget_ -= static_cast<int64_t>(pages.size());
    (role == kInflate ? counters_.inflate_pages : counters_.deflate_pages).Add(pages.size());
    if (role == kInflate) {
      ForEachRunInMemory(pages, [this](PageRun run) { Inflate(run); });
    } else if (tracks_pages()) {
      ForEachRunInMemory(pages, [this](PageRun run) { ballooned_->Remove(run); });
    }
  }
  return true;
}

void BalloonDevice::ForEachRunInMemory(absl::Span<uint32_t> pages,
                                       absl::FunctionRef<void(PageRun)> take) {
  ForEachRun(pages, [&](PageRun run) {
    uint64_t outside = run.count;
    for (const GuestMemory::Region& region : memory_->regions()) {
      const uint64_t region_first = region.start.value() >> kPageShift;
      const uint64_t region_end = region_first + (region.size_bytes >> kPageShift);
      const uint64_t first = std::max(run.first, region_first);
      const uint64_t end = std::min(run.first + run.count, region_end);
      if (first >= end) continue;
      take({first, end - first});
      outside -= end - first;
    }
    counters_.invalid_pages.Add(outside);
  });
}

void BalloonDevice::Inflate(PageRun run) {
  const auto discard = [this](uint64_t first, uint64_t end) {
    Discard(GuestAddress(first << kPageShift), (end - first) << kPageShift,
            &counters_.inflate_freed, &counters_.inflate_fails);
  };
  const uint64_t end = run.first + run.count;
  if (!tracks_pages()) return discard(run.first, end);
  ballooned_->Add(run);
  // Each page of the host that is now in the balloon as a whole goes back as a whole.
  const uint64_t large = memory_->host_page_size() >> kPageShift;
  for (uint64_t page = AlignDown(run.first, large); page < end; page += large) {
    if (ballooned_->ContainsAll({page, large})) {
      discard(page, page + large);
    } else {
      discard(std::max(page, run.first), std::min(page + large, end));
    }
  }
}

bool BalloonDevice::Discard(GuestAddress start, uint64_t size, base::Counter* freed,
                            base::Counter* fails) {
  const absl::StatusOr<uint64_t> released = memory_->Discard(start, size);
  counters_.discards.Add();
  if (released.ok()) {
    freed->Add(*released);
    return true;
  }
  fails->Add();
  // The guest has the memory still, so nothing is lost but the gain.
  if (!std::exchange(discard_failed_, true))
    HEARTH_LOG(kWarning, "balloon: ", released.status().message(), " (further ones are counted)");
  return false;
}

bool BalloonDevice::DiscardVectors(absl::Span<const iovec> vectors, base::Counter* freed,
                                   base::Counter* fails) {
  bool ok = true;
  for (const iovec& vector : vectors) {
    budget_ -= kRequestCost;
    const std::optional<GuestAddress> start = memory_->AddressOf(vector);
    HEARTH_CHECK(start.has_value());  // the queue takes vectors from memory only
    ok &= Discard(*start, vector.iov_len, freed, fails);
  }
  return ok;
}

void BalloonDevice::HoldStatistics(Queue* queue) {
  if (!MergeStatistics(chain_, &statistics_)) counters_.stats_update_fails.Add();
  if (!std::exchange(statistics_counted_, false)) counters_.stats_updates_count.Add();
  // A driver has one buffer in the queue. From one that has more, the newest is kept.
  if (statistics_chain_.pending()) queue->Complete(&statistics_chain_, 0);
  std::swap(statistics_chain_, chain_);
  refresh_timer_->Set(next_refresh_);
}

void BalloonDevice::RefreshStatistics() {
  if (host_ == nullptr || !statistics_chain_.pending()) return;
  Queue* const queue = this->queue(kStats);
  queue->Complete(&statistics_chain_, 0);
  queue->Publish();
  next_refresh_ = Clock::now() + std::chrono::seconds(options_.stats_polling_interval_s);
}

void BalloonDevice::TakeHints(Queue* queue) {
  if (uint32_t guest_command; chain_.readable_bytes() == sizeof(guest_command)) {
    HEARTH_CHECK(chain_.CopyOut(0, &guest_command, sizeof(guest_command)));
    if (hinting_.OnGuestCommand(guest_command)) {
      hinting_.Finish();
      SetHostCommand();
    }
  } else if (chain_.readable_bytes() != 0) {
    counters_.event_fails.Add();
  }
  if (!chain_.writable().empty() && hinting_.HintsCount()) {
    counters_.free_page_hint_count.Add(chain_.writable().size());
    DiscardVectors(chain_.writable(), &counters_.free_page_hint_freed,
                   &counters_.free_page_hint_fails);
  }
  queue->Complete(&chain_, 0);
}

void BalloonDevice::TakeReport(Queue* queue) {
  counters_.free_page_report_count.Add(chain_.writable().size());
  // The guest relies on what it has filled its free pages with; pages that we give back read zero.
  if (poison_value_ == 0) {
    DiscardVectors(chain_.writable(), &counters_.free_page_report_freed,
                   &counters_.free_page_report_fails);
  }
  queue->Complete(&chain_, 0);
}

void BalloonDevice::Deactivate(absl::AnyInvocable<void(Queues)> done) {
  refresh_timer_.reset();
  next_turn_.reset();
  for (const Role role : {kInflate, kDeflate}) {
    // From the beginning again: to give a page back twice is no harm, as the guest keeps off it
    // until the request is completed.
    if (arrays_[role].chain.pending()) queue(role)->Unpop(&arrays_[role].chain);
  }
  if (statistics_chain_.pending()) {
    queue(kStats)->Unpop(&statistics_chain_);
    statistics_counted_ = true;
  }
  host_ = nullptr;
  done(std::exchange(queues_, {}));
}

void BalloonDevice::Reset() {
  HEARTH_CHECK(host_ == nullptr);
  hinting_.Reset();
  statistics_.Clear();
  if (ballooned_) ballooned_->Clear();
  driver_active_ = false;
  config_changed_ = false;
  statistics_counted_ = false;
  next_refresh_ = base::MonotonicTime::max();
  config_.Store<uint32_t>(kConfigActual, 0);
  config_.Store<uint32_t>(kConfigPoisonValue, 0);
  config_.Store(kConfigHintCommand, hinting_.host_command());
}

}  // namespace hearth::virtio::balloon
