// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/echo_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hearth::virtio {

EchoDevice::EchoDevice(const DeviceContext& context)
    : loop_(context.loop), later_(context.loop, [this] { AnswerLater(); }), config_(kConfigBytes) {
  config_.AllowDriverWrite(kDriverNumber, 4);
  Reset();
}

absl::Status EchoDevice::CheckFeatures(uint64_t features) const {
  if ((features & kFeatureB) != 0 && (features & kFeatureA) == 0) {
    return absl::InvalidArgumentError("feature B needs feature A");
  }
  return absl::OkStatus();
}

void EchoDevice::Activate(Activation activation) {
  queues_ = std::move(activation.queues);
  host_ = activation.host;
  broken_ = false;
  for (uint16_t i = 0; i < kQueues; ++i) OnNotify(i);
}

void EchoDevice::OnNotify(uint16_t index) {
  if (broken_ || queues_[index] == nullptr) return;
  Queue& queue = *queues_[index];
  do {
    queue.DisableNotify();
    while (Take(queue)) {
    }
  } while (!broken_ && queue.EnableNotify());
  queue.Publish();
}

bool EchoDevice::Take(Queue& queue) {
  DescriptorChain chain;
  const Queue::PopResult result = queue.Pop(&chain);
  if (result == Queue::PopResult::kFault) {
    broken_ = true;
    host_->NeedsReset(queue.fault());
  }
  if (result != Queue::PopResult::kChain) return false;
  requests_.Add();
  if (queue.index() == 0) {
    Answer(queue, chain);
  } else {
    waiting_.push_back(std::move(chain));
    later_.Schedule();
  }
  return !broken_;
}

void EchoDevice::Answer(Queue& queue, DescriptorChain& chain) {
  std::string text(std::min(chain.readable_bytes(), chain.writable_bytes()), '\0');
  char poison[sizeof(kPoison) - 1] = {};
  const auto size = static_cast<uint32_t>(text.size());
  if (chain.CopyOut(0, poison, sizeof(poison)) &&
      std::memcmp(poison, kPoison, sizeof(poison)) == 0) {
    broken_ = true;
    host_->NeedsReset("poison");
  }
  // Both fit: `size` is the lesser of the two.
  (void)chain.CopyOut(0, text.data(), size);
  (void)chain.CopyIn(0, text.data(), size);
  ++echoed_;
  queue.Complete(&chain, size);
}

void EchoDevice::AnswerLater() {
  // The queue may be gone: Deactivate() has answered then.
  if (waiting_.empty()) return;
  for (DescriptorChain& chain : std::exchange(waiting_, {})) Answer(*queues_[1], chain);
  queues_[1]->Publish();
}

void EchoDevice::OnConfigWrite() {
  const auto number = config_.Load<uint32_t>(kDriverNumber);
  config_.Store(kAnswer, number + 1);
  host_->ConfigChanged();
}

void EchoDevice::Deactivate(absl::AnyInvocable<void(Queues)> done) {
  // From a later event, as a device does that waits for its disk.
  loop_->Post([this, done = std::move(done)]() mutable {
    AnswerLater();
    host_ = nullptr;
    done(std::move(queues_));
    queues_.clear();
  });
}

void EchoDevice::Reset() {
  echoed_ = 0;
  config_.Store<uint32_t>(kNumber, 7);
  config_.Store<uint32_t>(kDriverNumber, 0);
  config_.Store<uint32_t>(kAnswer, 0);
}

std::string EchoDevice::Save() { return absl::StrCat(echoed_); }

absl::Status EchoDevice::Restore(absl::string_view state) {
  uint32_t echoed;
  if (!absl::SimpleAtoi(state, &echoed) || absl::StrCat(echoed) != state) {
    return absl::InvalidArgumentError("echoed: a number is expected");
  }
  echoed_ = echoed;
  return absl::OkStatus();
}

void EchoDevice::VisitMetrics(base::MetricVisitor visitor) const {
  visitor("requests", requests_.value());
}

namespace {

class EchoSample final : public Sample {
 public:
  std::unique_ptr<Device> Create(const DeviceContext& context) override {
    return std::make_unique<EchoDevice>(context);
  }
  std::vector<Request> Requests() const override {
    return {{.queue = 0, .readable = "at once", .writable_bytes = 16},
            {.queue = 1, .readable = "later", .writable_bytes = 3},
            {.queue = 1, .readable = "", .writable_bytes = 100}};
  }
};

}  // namespace

std::unique_ptr<Sample> MakeEchoSample() { return std::make_unique<EchoSample>(); }

}  // namespace hearth::virtio
