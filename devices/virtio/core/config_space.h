// SPDX-License-Identifier: Apache-2.0
// ConfigSpace: a device's configuration space, as bytes in the layout of the specification.
//
// The driver reads it on vCPU threads while the device changes it on another, so it has a lock of
// its own and a generation that grows with each change of the device (section "Device Configuration
// Space"). The driver may write the bytes that the device declared writable; the device reads them
// when it needs them. Little endian. Any thread.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_CONFIG_SPACE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_CONFIG_SPACE_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"

namespace hearth::virtio {

class ConfigSpace {
 public:
  // All zero, and read-only for the driver.
  explicit ConfigSpace(uint32_t size_bytes) : bytes_(size_bytes), writable_(size_bytes) {}
  void AllowDriverWrite(uint32_t offset, uint32_t size_bytes);

  // --- The device's side. The range must lie inside: a CHECK.
  // Bumps the generation if a byte changed. The device raises the interrupt itself
  // (DeviceHost::ConfigChanged).
  template <typename T>
  requires std::is_integral_v<T>
  void Store(uint32_t offset, T value) { StoreBytes(offset, {AsBytes(&value), sizeof(value)}); }
  template <typename T>
  requires std::is_integral_v<T> T Load(uint32_t offset)
  const {
    T value;
    LoadBytes(offset, &value, sizeof(value));
    return value;
  }
  void StoreBytes(uint32_t offset, absl::Span<const uint8_t> data) ABSL_LOCKS_EXCLUDED(mutex_);
  void LoadBytes(uint32_t offset, void* to, uint32_t size) const ABSL_LOCKS_EXCLUDED(mutex_);

  // --- The driver's side, any offset and size: bytes outside read as 0 and swallow writes.
  void DriverRead(uint64_t offset, absl::Span<uint8_t> data) const ABSL_LOCKS_EXCLUDED(mutex_);
  // True if a writable byte was written.
  bool DriverWrite(uint64_t offset, absl::Span<const uint8_t> data) ABSL_LOCKS_EXCLUDED(mutex_);
  uint32_t generation() const ABSL_LOCKS_EXCLUDED(mutex_);

  uint32_t size_bytes() const { return static_cast<uint32_t>(writable_.size()); }

  // --- For snapshots: all bytes as the guest reads them; as many must come back.
  std::string Save() const ABSL_LOCKS_EXCLUDED(mutex_);
  void Restore(absl::string_view bytes, uint32_t generation) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool Fits(uint64_t offset, uint64_t size) const {
    return offset <= writable_.size() && size <= writable_.size() - offset;
  }
  static const uint8_t* AsBytes(const void* value) { return static_cast<const uint8_t*>(value); }

  mutable absl::Mutex mutex_;
  std::vector<uint8_t> bytes_ ABSL_GUARDED_BY(mutex_);
  std::vector<bool> writable_;  // constant once the driver can reach it
  uint32_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_CONFIG_SPACE_H_
