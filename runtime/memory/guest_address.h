// SPDX-License-Identifier: Apache-2.0
// GuestAddress: a guest-physical address (GPA), a type of its own so that it cannot be taken for a
// host pointer or a size. Arithmetic that could wrap is CheckedAdd().
#ifndef HEARTH_RUNTIME_MEMORY_GUEST_ADDRESS_H_
#define HEARTH_RUNTIME_MEMORY_GUEST_ADDRESS_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace hearth {

class GuestAddress {
 public:
  constexpr GuestAddress() = default;
  constexpr explicit GuestAddress(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }
  constexpr auto operator<=>(const GuestAddress&) const = default;

  // nullopt where the sum does not fit 64 bits.
  constexpr std::optional<GuestAddress> CheckedAdd(uint64_t offset) const {
    const uint64_t sum = value_ + offset;
    return sum < value_ ? std::nullopt : std::optional(GuestAddress(sum));
  }
  // For addresses that the VMM chose itself; wraps like uint64_t.
  constexpr GuestAddress operator+(uint64_t offset) const { return GuestAddress(value_ + offset); }
  constexpr uint64_t operator-(GuestAddress other) const { return value_ - other.value_; }

  std::string ToString() const { return absl::StrCat("0x", absl::Hex(value_)); }

 private:
  uint64_t value_ = 0;
};

inline constexpr uint64_t kPageSize = 4096;
inline constexpr uint64_t kHugePageSize = 2u << 20;

constexpr uint64_t AlignDown(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}
constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return AlignDown(value + alignment - 1, alignment);
}

}  // namespace hearth

#endif  // HEARTH_RUNTIME_MEMORY_GUEST_ADDRESS_H_
