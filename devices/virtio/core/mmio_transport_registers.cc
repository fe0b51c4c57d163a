// SPDX-License-Identifier: Apache-2.0
// MmioTransport's registers: what the driver reads and writes on vCPU threads.
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/core/mmio_registers.h"
#include "devices/virtio/core/mmio_transport.h"

namespace hearth::virtio {
namespace {

constexpr uint32_t kVendor = 0x54524548;  // "HERT", in the order of the bytes
constexpr uint64_t kRegisterBytes = 4;

// The low or the high half of a 64-bit register.
void SetHalf(uint64_t* whole, bool high, uint32_t value) {
  *whole = high ? (*whole & 0xffffffff) | uint64_t{value} << 32 : (*whole & ~0xffffffffull) | value;
}

}  // namespace

void MmioTransport::Read(uint64_t offset, absl::Span<uint8_t> data) {
  if (offset >= kConfig) return device_->config_space().DriverRead(offset - kConfig, data);
  // "MMIO Device Register Layout": 32-bit wide and aligned accesses only.
  uint32_t value = 0;
  const bool whole = data.size() == kRegisterBytes && offset % kRegisterBytes == 0;
  if (whole && offset == kInterruptStatus) {
    value = interrupt_.status();
  } else if (whole) {
    absl::MutexLock lock(&mutex_);
    value = ReadRegister(offset);
  }
  std::fill(data.begin(), data.end(), uint8_t{0});
  if (whole) std::memcpy(data.data(), &value, sizeof(value));
}

void MmioTransport::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (offset >= kConfig) return WriteConfig(offset - kConfig, data);
  if (data.size() != kRegisterBytes || offset % kRegisterBytes != 0) return;
  uint32_t value;
  std::memcpy(&value, data.data(), sizeof(value));
  if (offset == kInterruptAck) return interrupt_.Acknowledge(value);
  if (offset == kQueueNotify) return NotifyQueue(value);
  absl::MutexLock lock(&mutex_);
  if (!shut_down_) WriteRegister(offset, value);
}

void MmioTransport::WriteConfig(uint64_t offset, absl::Span<const uint8_t> data) {
  absl::MutexLock lock(&mutex_);
  if (shut_down_ || !device_->config_space().DriverWrite(offset, data)) return;
  pristine_ = false;
  // A device that is not active looks at its configuration space when it is activated.
  if (!active_ || config_write_posted_.exchange(true)) return;
  context_.loop->Post([this] {
    config_write_posted_ = false;
    if (active_on_loop_ && !needs_reset_) device_->OnConfigWrite();
  });
}

void MmioTransport::NotifyQueue(uint32_t queue) {
  if (queue >= notify_fds_.size()) return;
  const uint64_t one = 1;
  // EAGAIN, after 2^64 - 2 writes, changes nothing: the eventfd is readable anyway.
  [[maybe_unused]] const ssize_t n = write(notify_fds_[queue].get(), &one, sizeof(one));
}

uint32_t MmioTransport::ReadRegister(uint64_t offset) const {
  switch (offset) {
    case kMagicValue:
      return kMagic;
    case kVersion:
      return kMmioVersion;
    case kDeviceId:
      return device_->virtio_id();
    case kVendorId:
      return kVendor;
    case kDeviceFeatures:
      return device_features_sel_ > 1
                 ? 0
                 : static_cast<uint32_t>(offered_features() >> (32 * device_features_sel_));
    case kQueueNumMax:
      return queue_sel_ < queues_.size() ? queues_[queue_sel_].max_size : 0;
    case kQueueReady:
      return queue_sel_ < queues_.size() && queues_[queue_sel_].ready;
    case kStatus:
      return status_ | (needs_reset_ ? kDeviceNeedsReset : 0u);
    case kShmLenLow:
    case kShmLenHigh:
    case kShmBaseLow:
    case kShmBaseHigh:
      return ~0u;  // no such region
    case kConfigGeneration:
      return device_->config_space().generation();
    default:
      return 0;  // write-only, or none
  }
}

void MmioTransport::WriteRegister(uint64_t offset, uint32_t value) {
  switch (offset) {
    case kDeviceFeaturesSel:
      device_features_sel_ = value;
      return;
    case kDriverFeaturesSel:
      driver_features_sel_ = value;
      return;
    case kDriverFeatures:
      return WriteDriverFeatures(value);
    case kQueueSel:
      queue_sel_ = value;
      return;
    case kQueueReady:
      return WriteQueueReady(value);
    case kStatus:
      return WriteStatus(value);
    default:
      break;
  }
  QueueConfig* const queue = settable_queue();
  if (queue == nullptr) return;
  switch (offset) {
    case kQueueNum:
      // What fits no queue is refused at activation, as 0 is.
      queue->size = value > UINT16_MAX ? 0 : static_cast<uint16_t>(value);
      return;
    case kQueueDescLow:
    case kQueueDescHigh:
      return SetHalf(&queue->guest_descriptor_table, offset == kQueueDescHigh, value);
    case kQueueDriverLow:
    case kQueueDriverHigh:
      return SetHalf(&queue->guest_driver_area, offset == kQueueDriverHigh, value);
    case kQueueDeviceLow:
    case kQueueDeviceHigh:
      return SetHalf(&queue->guest_device_area, offset == kQueueDeviceHigh, value);
    default:
      return;  // read-only, or none
  }
}

void MmioTransport::WriteDriverFeatures(uint32_t value) {
  if ((status_ & kFeaturesOk) != 0) return;
  if (driver_features_sel_ > 1) {
    driver_features_beyond_ |= value != 0;
  } else {
    SetHalf(&driver_features_, driver_features_sel_ == 1, value);
  }
}

QueueConfig* MmioTransport::settable_queue() {
  if (queue_sel_ >= queues_.size() || queues_[queue_sel_].ready) return nullptr;
  return (status_ & (kFeaturesOk | kDriverOk | kFailed)) == kFeaturesOk ? &queues_[queue_sel_]
                                                                        : nullptr;
}

void MmioTransport::WriteQueueReady(uint32_t value) {
  if (value == 1) {
    if (QueueConfig* const queue = settable_queue()) queue->ready = true;
    return;
  }
  if (value != 0 || queue_sel_ >= queues_.size() || !queues_[queue_sel_].ready) return;
  // "To stop using the queue": of a running device too, which goes on without this queue. When the
  // driver reads the 0 back, nothing of the queue is in use.
  Deactivate();
  queues_[queue_sel_] = {.max_size = queues_[queue_sel_].max_size,
                         .size = queues_[queue_sel_].max_size};
  Activate();
}

void MmioTransport::WriteStatus(uint32_t value) {
  if (value == 0) return ResetAll();
  if ((status_ & kFailed) != 0) return;  // only a reset helps
  // Each step needs the one before it; bits are never taken back.
  if ((value & kAcknowledge) != 0) status_ |= kAcknowledge;
  if ((value & kDriver) != 0 && (status_ & kAcknowledge) != 0) status_ |= kDriver;
  if ((value & kFailed) != 0) {
    status_ |= kFailed;
    return;
  }
  if ((value & kFeaturesOk) != 0 && (status_ & (kDriver | kFeaturesOk)) == kDriver) {
    if (const absl::Status features = CheckDriverFeatures(driver_features_); features.ok()) {
      status_ |= kFeaturesOk;
    } else {
      HEARTH_LOG(kInfo, path_, ": features refused: ", features.message());
    }
  }
  if ((value & kDriverOk) != 0 && (status_ & (kFeaturesOk | kDriverOk)) == kFeaturesOk) {
    status_ |= kDriverOk;
    Activate();
  }
}

absl::Status MmioTransport::CheckDriverFeatures(uint64_t features) const {
  if (driver_features_beyond_) return absl::InvalidArgumentError("bits above 63 are not offered");
  if (const uint64_t alien = features & ~offered_features(); alien != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits 0x", absl::Hex(alien), " are not offered"));
  }
  if ((features & kFeatureVersion1) == 0) {
    return absl::InvalidArgumentError("VIRTIO_F_VERSION_1 is needed");
  }
  return device_->CheckFeatures(features);
}

}  // namespace hearth::virtio
