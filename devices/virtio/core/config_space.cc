// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/config_space.h"

#include <algorithm>

#include "base/status_macros.h"

namespace hearth::virtio {

void ConfigSpace::AllowDriverWrite(uint32_t offset, uint32_t size_bytes) {
  HEARTH_CHECK(Fits(offset, size_bytes));
  std::fill_n(writable_.begin() + offset, size_bytes, true);
}

void ConfigSpace::StoreBytes(uint32_t offset, absl::Span<const uint8_t> data) {
  HEARTH_CHECK(Fits(offset, data.size()));
  absl::MutexLock lock(&mutex_);
  if (std::equal(data.begin(), data.end(), bytes_.begin() + offset)) return;
  std::copy(data.begin(), data.end(), bytes_.begin() + offset);
  ++generation_;
}

void ConfigSpace::LoadBytes(uint32_t offset, void* to, uint32_t size) const {
  HEARTH_CHECK(Fits(offset, size));
  absl::MutexLock lock(&mutex_);
  std::memcpy(to, bytes_.data() + offset, size);
}

void ConfigSpace::DriverRead(uint64_t offset, absl::Span<uint8_t> data) const {
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < data.size(); ++i) data[i] = Fits(offset, i + 1) ? bytes_[offset + i] : 0;
}

bool ConfigSpace::DriverWrite(uint64_t offset, absl::Span<const uint8_t> data) {
  bool written = false;
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < data.size(); ++i) {
    if (!Fits(offset, i + 1) || !writable_[offset + i]) continue;
    bytes_[offset + i] = data[i];
    written = true;
  }
  return written;
}

uint32_t ConfigSpace::generation() const {
  absl::MutexLock lock(&mutex_);
  return generation_;
}

std::string ConfigSpace::Save() const {
  absl::MutexLock lock(&mutex_);
  return std::string(bytes_.begin(), bytes_.end());
}

void ConfigSpace::Restore(absl::string_view bytes, uint32_t generation) {
  HEARTH_CHECK(bytes.size() == size_bytes());
  absl::MutexLock lock(&mutex_);
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  generation_ = generation;
}

}  // namespace hearth::virtio
