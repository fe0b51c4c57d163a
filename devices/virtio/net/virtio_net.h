// SPDX-License-Identifier: Apache-2.0
// What virtio says of a network device, in its own terms: feature bits, configuration space, packet
// header, control commands. All little endian.
// Source: virtio 1.2, "Network Device"; USO: virtio 1.3.
#ifndef HEARTH_DEVICES_VIRTIO_NET_VIRTIO_NET_H_
#define HEARTH_DEVICES_VIRTIO_NET_VIRTIO_NET_H_

#include <cstdint>

namespace hearth::virtio::net {

inline constexpr uint32_t kVirtioId = 1;

// "Feature bits". GUEST_x: the driver can take it; HOST_x: the device can.
inline constexpr uint64_t kFeatureCsum = 1ull << 0;
inline constexpr uint64_t kFeatureGuestCsum = 1ull << 1;
inline constexpr uint64_t kFeatureCtrlGuestOffloads = 1ull << 2;
inline constexpr uint64_t kFeatureMtu = 1ull << 3;
inline constexpr uint64_t kFeatureMac = 1ull << 5;
inline constexpr uint64_t kFeatureGuestTso4 = 1ull << 7;
inline constexpr uint64_t kFeatureGuestTso6 = 1ull << 8;
inline constexpr uint64_t kFeatureGuestEcn = 1ull << 9;
inline constexpr uint64_t kFeatureGuestUfo = 1ull << 10;
inline constexpr uint64_t kFeatureHostTso4 = 1ull << 11;
inline constexpr uint64_t kFeatureHostTso6 = 1ull << 12;
inline constexpr uint64_t kFeatureHostEcn = 1ull << 13;
inline constexpr uint64_t kFeatureHostUfo = 1ull << 14;
inline constexpr uint64_t kFeatureMrgRxbuf = 1ull << 15;
inline constexpr uint64_t kFeatureStatus = 1ull << 16;
inline constexpr uint64_t kFeatureCtrlVq = 1ull << 17;
inline constexpr uint64_t kFeatureCtrlRx = 1ull << 18;
inline constexpr uint64_t kFeatureCtrlRxExtra = 1ull << 20;
inline constexpr uint64_t kFeatureGuestAnnounce = 1ull << 21;
inline constexpr uint64_t kFeatureMq = 1ull << 22;
inline constexpr uint64_t kFeatureCtrlMacAddr = 1ull << 23;
inline constexpr uint64_t kFeatureGuestUso4 = 1ull << 54;
inline constexpr uint64_t kFeatureGuestUso6 = 1ull << 55;
inline constexpr uint64_t kFeatureHostUso = 1ull << 56;

// "Offloads State Configuration": the bits that VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET may name.
inline constexpr uint64_t kGuestOffloads = kFeatureGuestCsum | kFeatureGuestTso4 |
                                           kFeatureGuestTso6 | kFeatureGuestEcn | kFeatureGuestUfo |
                                           kFeatureGuestUso4 | kFeatureGuestUso6;
inline constexpr uint64_t kHostOffloads = kFeatureCsum | kFeatureHostTso4 | kFeatureHostTso6 |
                                          kFeatureHostEcn | kFeatureHostUfo | kFeatureHostUso;

// "Device configuration layout": offsets.
inline constexpr uint32_t kConfigMac = 0;
inline constexpr uint32_t kConfigStatus = 6;
inline constexpr uint32_t kConfigMaxQueuePairs = 8;
inline constexpr uint32_t kConfigMtu = 10;
inline constexpr uint32_t kConfigSize = 12;
inline constexpr uint16_t kStatusLinkUp = 1;
inline constexpr uint16_t kStatusAnnounce = 2;

// "Device Operation": what precedes each packet.
struct NetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
  uint16_t num_buffers;
};
inline constexpr uint32_t kHeaderBytes = 12;
static_assert(sizeof(NetHeader) == kHeaderBytes);
inline constexpr uint32_t kNumBuffersOffset = 10;

// An Ethernet header, and the largest packet: an Ethernet and a VLAN header, the most that IP can
// say (with 40 more, since IPv6 does not count its header).
inline constexpr uint32_t kEthernetBytes = 14;
inline constexpr uint32_t kMaxFrameBytes = kEthernetBytes + 4 + 65535 + 40;
inline constexpr uint32_t kMaxPacketBytes = kHeaderBytes + kMaxFrameBytes;

// "Control Virtqueue".
enum class ControlClass : uint8_t { kRx = 0, kMac = 1, kAnnounce = 3, kMq = 4, kGuestOffloads = 5 };
inline constexpr uint8_t kControlOk = 0;
inline constexpr uint8_t kControlError = 1;
enum class RxCommand : uint8_t {
  kPromiscuous = 0,
  kAllMulticast = 1,
  kAllUnicast = 2,
  kNoMulticast = 3,
  kNoUnicast = 4,
  kNoBroadcast = 5,
};
inline constexpr uint8_t kMacTableSet = 0;
inline constexpr uint8_t kMacAddressSet = 1;
inline constexpr uint8_t kAnnounceAcknowledge = 0;
inline constexpr uint8_t kMqPairsSet = 0;
inline constexpr uint8_t kGuestOffloadsSet = 0;

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_VIRTIO_NET_H_
