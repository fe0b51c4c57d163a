// SPDX-License-Identifier: Apache-2.0
// The bytes of trivially copyable structures, for tables that are built as strings. Pure; any
// thread.
#ifndef HEARTH_RUNTIME_BOOT_BYTES_H_
#define HEARTH_RUNTIME_BOOT_BYTES_H_

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>

#include "absl/strings/string_view.h"

namespace hearth::boot {

template <typename T>
requires std::is_trivially_copyable_v<T> std::string BytesOf(const T& value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// A `T` copied from `bytes` at `offset`; nullopt where it does not fit.
template <typename T>
requires std::is_trivially_copyable_v<T> std::optional<T> ReadFrom(absl::string_view bytes,
                                                                   uint64_t offset) {
  if (offset > bytes.size() || sizeof(T) > bytes.size() - offset) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// The byte that makes the sum of `bytes` and itself zero modulo 256.
inline uint8_t ChecksumOf(absl::string_view bytes) {
  uint8_t sum = 0;
  for (const char byte : bytes) sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(byte));
  return static_cast<uint8_t>(-sum);
}

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_BYTES_H_
