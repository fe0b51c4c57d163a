// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/device_conformance.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace hearth::virtio {
namespace {

constexpr GuestAddress kRings(0x100000);

}  // namespace

std::vector<ConformanceCase> ConformanceCases(absl::string_view name,
                                              std::unique_ptr<Sample> (*make)()) {
  return {{absl::StrCat(name, "Inline"), make, TestLoop::Mode::kInline},
          {absl::StrCat(name, "Thread"), make, TestLoop::Mode::kThread}};
}

DeviceConformance::DeviceConformance()
    : sample_(GetParam().make()),
      requests_(sample_->Requests()),
      loop_(GetParam().mode, /*io_uring=*/GetParam().mode == TestLoop::Mode::kThread),
      memory_(*GuestMemory::Create({.size_bytes = kMemoryBytes})) {
  base::SetLogOptions({.level = base::LogLevel::kOff});
  MakeTransport();
  driver_ = std::make_unique<TransportDriver>(transport_.get(), memory_.get(), kRings);
}

DeviceConformance::~DeviceConformance() { transport_->Shutdown(); }

void DeviceConformance::MakeTransport() {
  if (transport_ != nullptr) {
    transport_->Shutdown();
    transport_.reset();
  }
  const DeviceContext context = loop_.Context(memory_.get());
  transport_ = *MmioTransport::Create("sample/0", sample_->Create(context), context);
  if (driver_ != nullptr) driver_->Attach(transport_.get());
}

DeviceState DeviceConformance::Move() {
  transport_->Pause();
  const DeviceState state = transport_->Save();
  MakeTransport();
  EXPECT_EQ(transport_->Restore(state), absl::OkStatus());
  return state;
}

void DeviceConformance::SendAll(Shape shape) {
  std::set<uint16_t> queues;
  for (const Sample::Request& request : requests_) {
    std::vector<QueueFake::Part> parts;
    const auto add = [&](GuestAddress at, size_t size, bool writable) {
      // No chain may be longer than the queue.
      const bool split = shape == Shape::kOneByteEach && size > 1 && size < kQueueSize / 4;
      const auto step = static_cast<uint32_t>(split ? 1 : size);
      for (uint32_t done = 0; done < size; done += step)
        parts.push_back({at + done, step, writable});
    };
    add(driver_->AllocateAndWrite(request.readable), request.readable.size(), false);
    add(driver_->Allocate(request.writable_bytes), request.writable_bytes, true);
    QueueFake& queue = driver_->queue(request.queue);
    const std::optional<uint16_t> head =
        shape == Shape::kIndirect ? queue.AddIndirect(parts, driver_->Allocate(16 * parts.size()))
                                  : queue.Add(parts);
    if (!head.has_value()) continue;
    EXPECT_TRUE(outstanding_.insert({request.queue, *head}).second);
    queues.insert(request.queue);
  }
  for (const uint16_t queue : queues) driver_->Kick(queue);
}

void DeviceConformance::ExpectAllBack() {
  const std::set<uint16_t> queues = RequestQueues();
  const auto collect = [&] {
    for (const uint16_t queue : queues) {
      while (const auto used = driver_->queue(queue).TakeUsed()) {
        EXPECT_EQ(outstanding_.erase({queue, static_cast<uint16_t>(used->head)}), 1u)
            << "queue " << queue << " gives back " << used->head << ", which it does not have";
      }
    }
    return outstanding_.empty();
  };
  EXPECT_TRUE(loop_.RunUntil(collect)) << outstanding_.size() << " requests are lost, the first of "
                                       << "queue " << outstanding_.begin()->first;
  loop_.Settle();
  EXPECT_TRUE(collect());
  EXPECT_EQ(driver_->status() & kDeviceNeedsReset, 0u);
}

void DeviceConformance::AdvanceTo(int step) {
  driver_->Reset();
  outstanding_.clear();
  if (step == 1) driver_->Write(kStatus, kAcknowledge);
  if (step == 2) {
    driver_->Write(kStatus, kAcknowledge);
    driver_->Write(kStatus, kAcknowledge | kDriver);
  }
  if (step >= 3) {
    ASSERT_TRUE(driver_->Negotiate());
  }
  if (step >= 4) driver_->SetUpQueues(kQueueSize);
  if (step >= 5) {
    ASSERT_TRUE(driver_->SetDriverOk());
  }
  if (step >= 6 && !requests_.empty()) {
    const uint16_t queue = requests_[0].queue;
    driver_->queue(queue).WriteAvailableIndex(0x8000);
    driver_->Write(kQueueNotify, queue);
    ASSERT_TRUE(loop_.RunUntil([&] { return (driver_->status() & kDeviceNeedsReset) != 0; }));
  }
}

std::set<uint16_t> DeviceConformance::RequestQueues() const {
  std::set<uint16_t> queues;
  for (const Sample::Request& request : requests_) queues.insert(request.queue);
  return queues;
}

}  // namespace hearth::virtio
