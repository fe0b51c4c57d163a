// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/net_device.h"

#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/net/features.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

constexpr uint16_t kControlQueueSize = 64;
// A driver that sends commands without end does not keep the others waiting.
constexpr int kControlBudget = 16;

uint64_t OfferedFeatures(const NetOptions& options, const Backend& backend) {
  uint64_t features = kFeatureMrgRxbuf | kFeatureStatus | kFeatureCtrlVq | kFeatureCtrlRx |
                      kFeatureCtrlRxExtra | kFeatureGuestAnnounce | kFeatureCtrlMacAddr;
  if (options.mac.has_value()) features |= kFeatureMac;
  if (options.mtu.has_value()) features |= kFeatureMtu;
  if (backend.pairs() > 1) features |= kFeatureMq;
  if (options.offloads) features |= backend.offloads();
  if ((features & kGuestOffloads) != 0) features |= kFeatureCtrlGuestOffloads;
  return features;
}

// receiveq1, transmitq1, ..., controlq.
std::vector<uint16_t> QueueSizes(const NetOptions& options, size_t pairs) {
  std::vector<uint16_t> sizes(2 * pairs, options.queue_size);
  sizes.push_back(kControlQueueSize);
  return sizes;
}

}  // namespace

NetDevice::NetDevice(NetOptions options, std::unique_ptr<Backend> backend,
                     const DeviceContext& context)
    : options_(std::move(options)),
      loop_(context.loop),
      backend_(std::move(backend)),
      features_(OfferedFeatures(options_, *backend_)),
      queue_sizes_(QueueSizes(options_, backend_->pairs())),
      config_(kConfigSize),
      rx_throttle_(loop_, options_.rx_limit, [this] { OnRxReady(); }),
      tx_throttle_(loop_, options_.tx_limit, [this] { OnTxReady(); }),
      more_(loop_, [this] { RunMore(); }),
      retry_(loop_, [this] { RetryHeld(); }) {
  for (size_t i = 0; i < backend_->pairs(); ++i) {
    pairs_.push_back(std::make_unique<Pair>(&backend_->port(i), &rx_throttle_, &tx_throttle_,
                                            i == 0 ? options_.hook : nullptr, &counters_));
  }
  config_.Store<uint16_t>(kConfigMaxQueuePairs, static_cast<uint16_t>(backend_->pairs()));
  if (options_.mtu.has_value()) config_.Store<uint16_t>(kConfigMtu, *options_.mtu);
  settings_.mac = options_.mac;
  ApplyMac();
  UpdateStatus();
}

NetDevice::~NetDevice() { HEARTH_CHECK(!active_); }

absl::Status NetDevice::CheckFeatures(uint64_t features) const {
  return CheckFeatureRequirements(features);
}

void NetDevice::Activate(Activation activation) {
  active_ = true;
  broken_ = false;
  queues_ = std::move(activation.queues);
  driver_features_ = activation.features;
  host_ = activation.host;
  const bool multi_queue = (driver_features_ & kFeatureMq) != 0;
  if (!multi_queue) settings_.queue_pairs = 1;
  control_index_ = static_cast<uint16_t>(multi_queue ? 2 * pairs_.size() : 2);
  control_ = (driver_features_ & kFeatureCtrlVq) != 0 ? queues_[control_index_].get() : nullptr;
  for (size_t i = 0; i < (multi_queue ? pairs_.size() : 1); ++i) {
    Queue* const rx = queues_[2 * i].get();
    Queue* const tx = queues_[2 * i + 1].get();
    if (rx != nullptr) pairs_[i]->rx.Start(rx, (driver_features_ & kFeatureMrgRxbuf) != 0);
    if (tx != nullptr) pairs_[i]->tx.Start(tx);
  }
  ApplyOffloads();
  ApplyPairs();
  ApplyFilter();
  if (const absl::Status status = backend_->Start(this); !status.ok()) {
    return Break(status.message());
  }
  if (options_.hook != nullptr) {
    options_.hook->SetWake([this] {
      if (active_) RunRx(0);
    });
  }
  // The guest may be somewhere else now: it tells the network that it lives here.
  const bool can_announce = (driver_features_ & kFeatureGuestAnnounce) != 0;
  if (restored_ && can_announce) counters_.announcements.Add();
  announcing_ = can_announce && (announcing_ || restored_);
  UpdateStatus();
  const bool tell = std::exchange(status_untold_, false) || restored_;
  restored_ = false;
  if (tell && (driver_features_ & (kFeatureStatus | kFeatureGuestAnnounce)) != 0) {
    host_->ConfigChanged();
  }
  RunControl();
  RunAll();
}

void NetDevice::Deactivate(absl::AnyInvocable<void(Queues)> done) {
  if (options_.hook != nullptr) options_.hook->SetWake(nullptr);
  backend_->Stop();
  StopSpinning();
  retry_.Cancel();
  rx_throttle_.Stop();
  tx_throttle_.Stop();
  for (const auto& pair : pairs_) {
    pair->rx.Stop();
    pair->tx.Stop();
    pair->rx_starved = pair->rx_throttled = pair->rx_more = false;
    pair->tx_full = pair->tx_throttled = pair->tx_more = false;
  }
  active_ = false;
  host_ = nullptr;
  control_ = nullptr;
  done(std::move(queues_));
}

void NetDevice::Reset() {
  settings_ = DriverSettings{.mac = options_.mac};
  announcing_ = false;
  restored_ = false;
  status_untold_ = false;
  driver_features_ = 0;
  ApplyMac();
  ApplyOffloads();
  ApplyPairs();
  ApplyFilter();
  UpdateStatus();
}

void NetDevice::OnNotify(uint16_t queue) {
  if (!active_ || broken_) return;
  if (control_ != nullptr && queue == control_index_) return RunControl();
  const size_t index = queue / 2;
  if (index >= pairs_in_use()) return;
  Pair& pair = *pairs_[index];
  if (queue % 2 == 0) {
    counters_.rx_queue_event_count.Add();
    if (std::exchange(pair.rx_starved, false)) RunRx(index);
    return;
  }
  counters_.tx_queue_event_count.Add();
  spin_policy_.OnNotified(Now());
  RunTx(index);
}

void NetDevice::RunTx(size_t index) {
  Pair& pair = *pairs_[index];
  if (broken_ || !pair.tx.started() || pair.tx_full || pair.tx_throttled) return;
  const Transmitter::Result result = pair.tx.Run(kBudget);
  pair.tx_more = false;
  switch (result) {
    case Transmitter::Result::kIdle:
      ExpectMore();
      pair.tx_more = !spinning_ && pair.tx.EnableNotify();
      break;
    case Transmitter::Result::kMore:
      pair.tx_more = true;
      break;
    case Transmitter::Result::kFull:
      pair.tx_full = true;
      break;
    case Transmitter::Result::kThrottled:
      pair.tx_throttled = true;
      break;
    case Transmitter::Result::kFault:
      return Break(pair.tx.fault());
  }
  if (pair.tx_more) more_.Schedule();
  if (pair.tx.TakeHooked()) RunRx(index);
}

void NetDevice::RunRx(size_t index) {
  Pair& pair = *pairs_[index];
  if (broken_ || !told_up_ || !pair.rx.started() || pair.rx_starved || pair.rx_throttled) return;
  const Receiver::Result result = pair.rx.Run(kBudget);
  pair.rx_more = result == Receiver::Result::kMore;
  pair.rx_starved = result == Receiver::Result::kNoBuffers;
  pair.rx_throttled = result == Receiver::Result::kThrottled;
  if (result == Receiver::Result::kFault) return Break(pair.rx.why());
  if (pair.rx_more) more_.Schedule();
  if (pair.rx_starved && pair.rx.held_bytes() > 0) retry_.Set(Now() + Receiver::kPatience);
  ExpectMore();
}

void NetDevice::RunMore() {
  for (size_t i = 0; i < pairs_in_use(); ++i) {
    if (pairs_[i]->tx_more) RunTx(i);
    if (pairs_[i]->rx_more) RunRx(i);
  }
  if (active_ && control_ != nullptr && control_->HasAvailable()) RunControl();
}

void NetDevice::RunAll() {
  for (size_t i = 0; i < pairs_in_use(); ++i) {
    RunTx(i);
    RunRx(i);
  }
}

void NetDevice::RetryHeld() {
  for (size_t i = 0; i < pairs_in_use(); ++i) {
    if (pairs_[i]->rx_starved && pairs_[i]->rx.held_bytes() > 0) {
      pairs_[i]->rx_starved = false;
      RunRx(i);
    }
  }
}

void NetDevice::OnRxReady() {
  counters_.rx_event_rate_limiter_count.Add();
  for (size_t i = 0; i < pairs_in_use(); ++i) {
    if (std::exchange(pairs_[i]->rx_throttled, false)) RunRx(i);
  }
}

void NetDevice::OnTxReady() {
  counters_.tx_rate_limiter_event_count.Add();
  for (size_t i = 0; i < pairs_in_use(); ++i) {
    if (std::exchange(pairs_[i]->tx_throttled, false)) RunTx(i);
  }
}

void NetDevice::OnReadable(size_t pair) {
  counters_.rx_tap_event_count.Add();
  if (pair < pairs_in_use()) RunRx(pair);
}

void NetDevice::OnWritable(size_t pair) {
  if (pair >= pairs_in_use()) return;
  if (std::exchange(pairs_[pair]->tx_full, false)) RunTx(pair);
}

void NetDevice::OnCarrier() {
  // What waited for room in the old connection will not get it.
  for (const auto& pair : pairs_) pair->tx_full = false;
  UpdateStatus();
  RunAll();
}

void NetDevice::RunControl() {
  if (!active_ || broken_ || control_ == nullptr) return;
  for (int i = 0; i < kControlBudget; ++i) {
    switch (control_->Pop(&control_chain_)) {
      case Queue::PopResult::kFault:
        return Break(control_->fault());
      case Queue::PopResult::kEmpty:
        control_->Publish();
        return;
      case Queue::PopResult::kChain:
        break;
    }
    counters_.control_commands.Add();
    const bool done = RunControlCommand(control_chain_, driver_features_, this);
    if (!done) counters_.control_errors.Add();
    const uint8_t acknowledgement = done ? kControlOk : kControlError;
    const bool told = control_chain_.CopyIn(0, &acknowledgement, sizeof(acknowledgement));
    control_->Complete(&control_chain_, told ? sizeof(acknowledgement) : 0);
    if (!told) return Break("control queue: a command without room for its acknowledgement");
    if (broken_) break;
  }
  control_->Publish();
  more_.Schedule();
}

void NetDevice::Break(absl::string_view why) {
  if (std::exchange(broken_, true)) return;
  StopSpinning();
  for (const auto& queue : queues_) {
    if (queue != nullptr) queue->Publish();
  }
  host_->NeedsReset(why);
}

bool NetDevice::Poll() {
  bool worked = false;
  for (size_t i = 0; i < pairs_in_use() && !broken_; ++i) {
    Pair& pair = *pairs_[i];
    if (pair.tx.started() && !pair.tx_full && !pair.tx_throttled && pair.tx.HasPackets()) {
      worked = true;
      spin_hit_ = true;
      spin_policy_.OnHit();
      counters_.spin_hits.Add();
      RunTx(i);
    }
    if (pair.rx_starved && pair.rx.HasBuffers()) {
      worked = true;
      pair.rx_starved = false;
      RunRx(i);
    }
  }
  if (!worked && spinning_ && Now() >= spin_end_) {
    if (!spin_hit_) {
      spin_policy_.OnMiss();
      counters_.spin_misses.Add();
    }
    StopSpinning();
  }
  return worked;
}

void NetDevice::ExpectMore() {
  const base::MonotonicTime now = Now();
  spin_policy_.OnPacket(now);
  if (!spin_policy_.worth_it() || broken_) return;
  // Packets from the host alone do not keep the look going: it is for the guest's.
  if (spinning_ && !spin_hit_) return;
  spin_hit_ = false;
  spin_end_ = now + SpinPolicy::kWindow;
  if (std::exchange(spinning_, true)) return;
  for (size_t i = 0; i < pairs_in_use(); ++i) pairs_[i]->tx_more = false;
  // Until Poll() says so, since it has notifications to turn on again.
  loop_->SpinUntil(this, base::MonotonicTime::max());
}

void NetDevice::StopSpinning() {
  if (!std::exchange(spinning_, false)) return;
  loop_->StopSpinning(this);
  for (size_t i = 0; i < pairs_in_use() && !broken_; ++i) {
    Pair& pair = *pairs_[i];
    if (!pair.tx.started() || pair.tx_full || pair.tx_throttled) continue;
    if (pair.tx.EnableNotify()) {
      pair.tx_more = true;
      more_.Schedule();
    }
  }
}

void NetDevice::UpdateLimits(
    absl::FunctionRef<void(base::RateLimiter* rx, base::RateLimiter* tx)> update) {
  update(&rx_throttle_.limiter(), &tx_throttle_.limiter());
  OnRxReady();
  OnTxReady();
}

void NetDevice::SetLinkUp(bool up) {
  if (std::exchange(link_up_, up) == up) return;
  // What came while nobody listened is stale.
  if (up && active_) {
    for (size_t i = 0; i < pairs_in_use(); ++i) {
      if (pairs_[i]->rx.started()) pairs_[i]->rx.Discard();
    }
  }
  UpdateStatus();
  RunAll();
}

void NetDevice::UpdateStatus() {
  const bool up = link_up();
  const bool changed = std::exchange(told_up_, up) != up;
  if (changed) counters_.link_changes.Add();
  for (const auto& pair : pairs_) pair->tx.SetLinkUp(up);
  const auto status =
      static_cast<uint16_t>((up ? kStatusLinkUp : 0) | (announcing_ ? kStatusAnnounce : 0));
  config_.Store<uint16_t>(kConfigStatus, status);
  if (!changed) return;
  if (!active_) {
    status_untold_ = true;
  } else if ((driver_features_ & kFeatureStatus) != 0) {
    host_->ConfigChanged();
  }
}

}  // namespace hearth::virtio::net
