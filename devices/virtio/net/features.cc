// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/features.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/net/tun_abi.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

struct Requirement {
  uint64_t feature;
  absl::string_view name;
  uint64_t any_of;
  absl::string_view wants;
};

// Ordered so that one pass drops all that depends on what was dropped.
constexpr Requirement kRequirements[] = {
    {kFeatureGuestTso4, "GUEST_TSO4", kFeatureGuestCsum, "GUEST_CSUM"},
    {kFeatureGuestTso6, "GUEST_TSO6", kFeatureGuestCsum, "GUEST_CSUM"},
    {kFeatureGuestEcn, "GUEST_ECN", kFeatureGuestTso4 | kFeatureGuestTso6,
     "GUEST_TSO4 or GUEST_TSO6"},
    {kFeatureGuestUfo, "GUEST_UFO", kFeatureGuestCsum, "GUEST_CSUM"},
    {kFeatureGuestUso4, "GUEST_USO4", kFeatureGuestCsum, "GUEST_CSUM"},
    {kFeatureGuestUso6, "GUEST_USO6", kFeatureGuestCsum, "GUEST_CSUM"},
    {kFeatureHostTso4, "HOST_TSO4", kFeatureCsum, "CSUM"},
    {kFeatureHostTso6, "HOST_TSO6", kFeatureCsum, "CSUM"},
    {kFeatureHostEcn, "HOST_ECN", kFeatureHostTso4 | kFeatureHostTso6, "HOST_TSO4 or HOST_TSO6"},
    {kFeatureHostUfo, "HOST_UFO", kFeatureCsum, "CSUM"},
    {kFeatureHostUso, "HOST_USO", kFeatureCsum, "CSUM"},
    {kFeatureCtrlRx, "CTRL_RX", kFeatureCtrlVq, "CTRL_VQ"},
    {kFeatureCtrlRxExtra, "CTRL_RX_EXTRA", kFeatureCtrlVq, "CTRL_VQ"},
    {kFeatureGuestAnnounce, "GUEST_ANNOUNCE", kFeatureCtrlVq, "CTRL_VQ"},
    {kFeatureMq, "MQ", kFeatureCtrlVq, "CTRL_VQ"},
    {kFeatureCtrlMacAddr, "CTRL_MAC_ADDR", kFeatureCtrlVq, "CTRL_VQ"},
    {kFeatureCtrlGuestOffloads, "CTRL_GUEST_OFFLOADS", kFeatureCtrlVq, "CTRL_VQ"},
};

struct TunBit {
  unsigned tun;
  uint64_t guest;
  uint64_t host;
};

constexpr TunBit kTunBits[] = {
    {TUN_F_CSUM, kFeatureGuestCsum, kFeatureCsum},
    {TUN_F_TSO4, kFeatureGuestTso4, kFeatureHostTso4},
    {TUN_F_TSO6, kFeatureGuestTso6, kFeatureHostTso6},
    {TUN_F_TSO_ECN, kFeatureGuestEcn, kFeatureHostEcn},
    {TUN_F_UFO, kFeatureGuestUfo, kFeatureHostUfo},
    {TUN_F_USO4, kFeatureGuestUso4, kFeatureHostUso},
    {TUN_F_USO6, kFeatureGuestUso6, kFeatureHostUso},
};

}  // namespace

absl::Status CheckFeatureRequirements(uint64_t features) {
  for (const Requirement& rule : kRequirements) {
    if ((features & rule.feature) != 0 && (features & rule.any_of) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("VIRTIO_NET_F_", rule.name, " requires ", rule.wants));
    }
  }
  return absl::OkStatus();
}

uint64_t DropUnmetFeatures(uint64_t features) {
  for (const Requirement& rule : kRequirements) {
    if ((features & rule.any_of) == 0) features &= ~rule.feature;
  }
  return features;
}

unsigned TunOffloads(uint64_t features) {
  features = DropUnmetFeatures(features & kGuestOffloads);
  unsigned tun = 0;
  for (const TunBit& bit : kTunBits) {
    if ((features & bit.guest) != 0) tun |= bit.tun;
  }
  return tun;
}

uint64_t FeaturesOfTun(unsigned tun_offloads) {
  uint64_t features = 0;
  for (const TunBit& bit : kTunBits) {
    if ((tun_offloads & bit.tun) != 0) features |= bit.guest | bit.host;
  }
  return DropUnmetFeatures(features);
}

}  // namespace hearth::virtio::net
