// SPDX-License-Identifier: Apache-2.0
#include "devices/bus/bus.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace hearth {

absl::Status Bus::Builder::Add(uint64_t start, uint64_t size, BusDevice* device) {
  HEARTH_CHECK(device != nullptr);
  const std::string range = absl::StrFormat("range of 0x%x bytes at 0x%x", size, start);
  if (size == 0) return absl::InvalidArgumentError(absl::StrCat(device->name(), ": empty ", range));
  // The last byte may be the last address.
  const uint64_t last = start + (size - 1);
  if (last < start) {
    return absl::InvalidArgumentError(absl::StrCat(device->name(), ": ", range, " wraps"));
  }
  for (const Range& other : ranges_) {
    const uint64_t other_last = other.start + (other.size - 1);
    if (start <= other_last && other.start <= last) {
      return absl::AlreadyExistsError(
          absl::StrCat(device->name(), ": ", range, " overlaps that of ", other.device->name(),
                       absl::StrFormat(" (0x%x bytes at 0x%x)", other.size, other.start)));
    }
  }
  ranges_.push_back({start, size, device});
  return absl::OkStatus();
}

Bus Bus::Builder::Build() && {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  ranges_.shrink_to_fit();
  return Bus(std::move(ranges_));
}

const Bus::Builder::Range* Bus::Find(uint64_t address, uint64_t size) const {
  const auto after = std::upper_bound(
      ranges_.begin(), ranges_.end(), address,
      [](uint64_t value, const Builder::Range& range) { return value < range.start; });
  if (after == ranges_.begin()) return nullptr;
  const Builder::Range& range = *std::prev(after);
  const uint64_t offset = address - range.start;
  if (offset >= range.size || size > range.size - offset) return nullptr;
  return &range;
}

bool Bus::Read(uint64_t address, absl::Span<uint8_t> data) const {
  const Builder::Range* const range = Find(address, data.size());
  if (range == nullptr) {
    std::fill(data.begin(), data.end(), uint8_t{0xff});
    return false;
  }
  range->device->Read(address - range->start, data);
  return true;
}

bool Bus::Write(uint64_t address, absl::Span<const uint8_t> data) const {
  const Builder::Range* const range = Find(address, data.size());
  if (range == nullptr) return false;
  range->device->Write(address - range->start, data);
  return true;
}

}  // namespace hearth
