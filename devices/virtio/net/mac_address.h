// SPDX-License-Identifier: Apache-2.0
// MacAddress: six bytes, and their text form.
#ifndef HEARTH_DEVICES_VIRTIO_NET_MAC_ADDRESS_H_
#define HEARTH_DEVICES_VIRTIO_NET_MAC_ADDRESS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace hearth::virtio::net {

using MacAddress = std::array<uint8_t, 6>;

inline constexpr MacAddress kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

inline bool IsMulticast(const MacAddress& mac) { return (mac[0] & 1) != 0; }
// May it name an interface: neither multicast nor all zero?
inline bool IsUnicast(const MacAddress& mac) { return !IsMulticast(mac) && mac != MacAddress{}; }

// "06:00:ac:10:00:02", in any case; nullopt for anything else.
std::optional<MacAddress> ParseMac(absl::string_view text);
std::string ToString(const MacAddress& mac);

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_MAC_ADDRESS_H_
