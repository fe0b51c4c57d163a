// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/packet_hook.h"

#include <cstring>

namespace hearth::virtio::net {
namespace {

constexpr size_t kTypeOffset = 12;
constexpr size_t kIpv4DestinationOffset = kEthernetBytes + 16;
constexpr size_t kArpTargetOffset = kEthernetBytes + 24;

bool HasAt(absl::Span<const uint8_t> frame, size_t offset, const std::array<uint8_t, 4>& address) {
  return frame.size() >= offset + address.size() &&
         std::memcmp(frame.data() + offset, address.data(), address.size()) == 0;
}

}  // namespace

bool IsFor(const std::array<uint8_t, 4>& address, absl::Span<const uint8_t> frame) {
  if (frame.size() < kEthernetBytes || frame[kTypeOffset] != 0x08) return false;
  switch (frame[kTypeOffset + 1]) {
    case 0x00:
      return HasAt(frame, kIpv4DestinationOffset, address);
    case 0x06:
      return HasAt(frame, kArpTargetOffset, address);
    default:
      return false;
  }
}

}  // namespace hearth::virtio::net
