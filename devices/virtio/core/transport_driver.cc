// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/transport_driver.h"

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"

namespace hearth::virtio {

TransportDriver::TransportDriver(MmioTransport* transport, GuestMemory* memory, GuestAddress base)
    : transport_(transport), memory_(memory), next_(base) {}

uint32_t TransportDriver::Read(uint64_t offset) const {
  uint8_t bytes[4];
  transport_->Read(offset, absl::MakeSpan(bytes));
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

void TransportDriver::Write(uint64_t offset, uint32_t value) {
  uint8_t bytes[4];
  std::memcpy(bytes, &value, sizeof(value));
  transport_->Write(offset, absl::MakeConstSpan(bytes));
}

uint64_t TransportDriver::OfferedFeatures() {
  Write(kDeviceFeaturesSel, 1);
  const uint64_t high = Read(kDeviceFeatures);
  Write(kDeviceFeaturesSel, 0);
  return high << 32 | Read(kDeviceFeatures);
}

bool TransportDriver::Negotiate(uint64_t wanted) {
  HEARTH_CHECK(Read(kMagicValue) == kMagic && Read(kVersion) == kMmioVersion);
  Reset();
  HEARTH_CHECK(status() == 0);
  Write(kStatus, kAcknowledge);
  Write(kStatus, status() | kDriver);
  features_ = OfferedFeatures() & wanted;
  Write(kDriverFeaturesSel, 1);
  Write(kDriverFeatures, static_cast<uint32_t>(features_ >> 32));
  Write(kDriverFeaturesSel, 0);
  Write(kDriverFeatures, static_cast<uint32_t>(features_));
  Write(kStatus, status() | kFeaturesOk);
  return (status() & kFeaturesOk) != 0;
}

void TransportDriver::SetUpQueues(uint16_t size) {
  queues_.clear();
  for (uint16_t i = 0; i < queue_count(); ++i) {
    Write(kQueueSel, i);
    const auto max_size = static_cast<uint16_t>(Read(kQueueNumMax));
    next_ = GuestAddress(AlignUp(next_.value(), 16));
    queues_.push_back(std::make_unique<QueueFake>(memory_, next_, std::min(size, max_size),
                                                  (features_ & kFeatureEventIdx) != 0));
    next_ = queues_.back()->end();
    SetUpQueue(i, queues_.back()->Config(max_size));
  }
}

void TransportDriver::SetUpQueue(uint16_t index, const QueueConfig& config) {
  const auto write_halves = [this](uint64_t low, uint64_t address) {
    Write(low, static_cast<uint32_t>(address));
    Write(low + 4, static_cast<uint32_t>(address >> 32));
  };
  Write(kQueueSel, index);
  Write(kQueueNum, config.size);
  write_halves(kQueueDescLow, config.guest_descriptor_table);
  write_halves(kQueueDriverLow, config.guest_driver_area);
  write_halves(kQueueDeviceLow, config.guest_device_area);
  Write(kQueueReady, config.ready ? 1 : 0);
}

bool TransportDriver::SetDriverOk() {
  Write(kStatus, status() | kDriverOk);
  return (status() & (kDriverOk | kDeviceNeedsReset)) == kDriverOk;
}

bool TransportDriver::Start(uint64_t wanted, uint16_t size) {
  if (!Negotiate(wanted)) return false;
  SetUpQueues(size);
  return SetDriverOk();
}

void TransportDriver::Kick(uint16_t index) {
  if (queue(index).Kick()) Write(kQueueNotify, index);
}

std::optional<TransportDriver::Request> TransportDriver::Add(uint16_t index,
                                                             absl::string_view readable,
                                                             uint32_t writable_bytes) {
  Request request{};
  std::vector<QueueFake::Part> parts;
  if (!readable.empty()) {
    request.readable = AllocateAndWrite(readable);
    parts.push_back({request.readable, static_cast<uint32_t>(readable.size()), false});
  }
  if (writable_bytes > 0) {
    request.writable = Allocate(writable_bytes);
    parts.push_back({request.writable, writable_bytes, true});
  }
  const std::optional<uint16_t> head = queue(index).Add(parts);
  if (!head.has_value()) return std::nullopt;
  request.head = *head;
  return request;
}

uint32_t TransportDriver::TakeInterrupt() {
  if (TakeInterrupts(transport_->irq_line()) == 0) return 0;
  const uint32_t bits = Read(kInterruptStatus);
  Write(kInterruptAck, bits);
  return bits;
}

GuestAddress TransportDriver::Allocate(uint64_t size, uint64_t alignment) {
  const GuestAddress at(AlignUp(next_.value(), alignment));
  next_ = at + size;
  HEARTH_CHECK(memory_->Slice(at, size).has_value());
  return at;
}

GuestAddress TransportDriver::AllocateAndWrite(absl::string_view bytes) {
  const GuestAddress at = Allocate(bytes.size());
  HEARTH_CHECK(memory_->Write("request", at, bytes).ok());
  return at;
}

std::string TransportDriver::ReadMemory(GuestAddress at, uint64_t size) const {
  std::string bytes(size, '\0');
  const std::optional<GuestSlice> slice = memory_->Slice(at, size);
  HEARTH_CHECK(slice.has_value() && slice->CopyOut(0, bytes.data(), size));
  return bytes;
}

}  // namespace hearth::virtio
