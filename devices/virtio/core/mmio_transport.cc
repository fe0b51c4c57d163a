// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/mmio_transport.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/core/loop_call.h"
#include "devices/virtio/core/mmio_registers.h"

namespace hearth::virtio {
namespace {

// Ten messages about one guest's mistakes, then one each six seconds.
constexpr base::TokenBucket::Options kLogLimit = {.size = 10, .refill_time_ms = 60'000};

}  // namespace

absl::StatusOr<std::unique_ptr<MmioTransport>> MmioTransport::Create(std::string path,
                                                                     std::unique_ptr<Device> device,
                                                                     const DeviceContext& context) {
  HEARTH_ASSIGN_OR_RETURN(IrqLine line, IrqLine::Create());
  std::vector<base::UniqueFd> notify_fds;
  for (size_t i = 0; i < device->queue_sizes().size(); ++i) {
    notify_fds.emplace_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!notify_fds.back().valid()) return base::ErrnoStatus("eventfd", "queue notification");
  }
  return std::unique_ptr<MmioTransport>(new MmioTransport(
      std::move(path), std::move(device), context, std::move(line), std::move(notify_fds)));
}

MmioTransport::MmioTransport(std::string path, std::unique_ptr<Device> device,
                             const DeviceContext& context, IrqLine line,
                             std::vector<base::UniqueFd> notify_fds)
    : path_(std::move(path)),
      device_(std::move(device)),
      context_(context),
      interrupt_(std::move(line), context.loop->ring()),
      notify_fds_(std::move(notify_fds)),
      fault_log_limit_(base::TokenBucket::Create(kLogLimit, std::chrono::steady_clock::now())) {
  absl::MutexLock lock(&mutex_);
  ResetQueues();
}

MmioTransport::~MmioTransport() = default;

void MmioTransport::Pause() {
  absl::MutexLock lock(&mutex_);
  paused_ = true;
  Deactivate();
}

void MmioTransport::Resume() {
  absl::MutexLock lock(&mutex_);
  paused_ = false;
  Activate();
}

void MmioTransport::Shutdown() {
  absl::MutexLock lock(&mutex_);
  shut_down_ = true;
  Deactivate();
  // The turn in which the device came to rest may still have turn tasks to run: the second of two
  // calls comes in a later turn.
  for (int i = 0; i < 2; ++i) CallDevice([](Device&) {});
}

void MmioTransport::VisitMetrics(base::MetricVisitor visitor) const {
  visitor("guest_faults", guest_faults_.value());
  device_->VisitMetrics(visitor);
}

void MmioTransport::Activate() {
  if (active_ || paused_ || shut_down_ || (status_ & kDriverOk) == 0 || needs_reset_) return;
  pristine_ = false;
  Queues queues(queues_.size());
  for (size_t i = 0; i < queues.size(); ++i) {
    if (!queues_[i].ready) continue;
    absl::StatusOr<std::unique_ptr<Queue>> queue = Queue::Create(
        context_.memory, static_cast<uint16_t>(i), queues_[i], driver_features_, &interrupt_);
    if (!queue.ok()) {
      const std::string why = absl::StrCat("queue ", i, ": ", queue.status().message());
      CallDevice([this, &why](Device&) { NeedsReset(why); });
      return;
    }
    queues[i] = *std::move(queue);
  }
  active_ = true;
  context_.loop->Post([this, queues = std::move(queues), features = driver_features_]() mutable {
    ActivateOnLoop(std::move(queues), features);
  });
}

void MmioTransport::ActivateOnLoop(Queues queues, uint64_t features) {
  active_on_loop_ = true;
  std::string failure;
  for (size_t i = 0; i < queues.size(); ++i) {
    if (queues[i] == nullptr) continue;
    const int fd = notify_fds_[i].get();
    const absl::Status added = context_.loop->Add(fd, EPOLLIN | EPOLLET, [this, i](uint32_t) {
      device_->OnNotify(static_cast<uint16_t>(i));
    });
    if (added.ok()) {
      watched_fds_.push_back(fd);
    } else {
      failure = std::string(added.message());
    }
  }
  device_->Activate({std::move(queues), features, this});
  // The host's fault, but the driver can do nothing better than to try again.
  if (!failure.empty()) NeedsReset(failure);
}

void MmioTransport::Deactivate() {
  if (!active_) return;
  Queues queues;
  CallOnLoop(context_.loop, context_.inline_loop, [this, &queues](absl::AnyInvocable<void()> done) {
    StopWatching();
    active_on_loop_ = false;
    device_->Deactivate([&queues, done = std::move(done)](Queues taken) mutable {
      queues = std::move(taken);
      done();
    });
  });
  active_ = false;
  HEARTH_CHECK(queues.size() == queues_.size());
  for (size_t i = 0; i < queues.size(); ++i) {
    HEARTH_CHECK((queues[i] != nullptr) == queues_[i].ready);
    if (queues[i] == nullptr) continue;
    HEARTH_CHECK(needs_reset_ || (queues[i]->in_flight() == 0 && !queues[i]->has_unpublished()));
    queues_[i] = queues[i]->Save();
  }
}

void MmioTransport::StopWatching() {
  for (const int fd : watched_fds_) context_.loop->Remove(fd);
  watched_fds_.clear();
}

void MmioTransport::NeedsReset(absl::string_view why) {
  if (needs_reset_.exchange(true)) return;
  guest_faults_.Add();
  StopWatching();
  if (fault_log_limit_->Consume(1, std::chrono::steady_clock::now())) {
    HEARTH_LOG(kWarning, path_, ": the guest's driver has to reset the device: ", why);
  }
  interrupt_.RaiseFromLoop(Interrupt::kConfigurationChange);
}

void MmioTransport::ConfigChanged() { interrupt_.RaiseFromLoop(Interrupt::kConfigurationChange); }

void MmioTransport::ResetAll() {
  if (!pristine_) {
    Deactivate();
    CallDevice([](Device& device) { device.Reset(); });
    pristine_ = true;
  }
  needs_reset_ = false;
  interrupt_.Acknowledge(~0u);
  status_ = 0;
  driver_features_ = 0;
  driver_features_beyond_ = false;
  device_features_sel_ = driver_features_sel_ = queue_sel_ = 0;
  ResetQueues();
}

void MmioTransport::ResetQueues() {
  queues_.clear();
  for (const uint16_t size : device_->queue_sizes()) {
    queues_.push_back({.max_size = size, .size = size});
  }
}

void MmioTransport::CallDevice(absl::FunctionRef<void(Device&)> work) {
  CallOnLoop(context_.loop, context_.inline_loop, [this, work](absl::AnyInvocable<void()> done) {
    work(*device_);
    done();
  });
}

}  // namespace hearth::virtio
