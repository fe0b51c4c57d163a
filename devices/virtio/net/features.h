// SPDX-License-Identifier: Apache-2.0
// Which feature bits go together. Pure functions.
#ifndef HEARTH_DEVICES_VIRTIO_NET_FEATURES_H_
#define HEARTH_DEVICES_VIRTIO_NET_FEATURES_H_

#include <cstdint>

#include "absl/status/status.h"

namespace hearth::virtio::net {

// "Feature bit requirements": the error names the bit that misses another.
absl::Status CheckFeatureRequirements(uint64_t features);

// What is left of `features` when those whose requirements are not met are taken out.
uint64_t DropUnmetFeatures(uint64_t features);

// TUN_F_ bits for TUNSETOFFLOAD from GUEST_ features.
unsigned TunOffloads(uint64_t features);
// The GUEST_ and HOST_ features that a tap gives which takes these TUN_F_ bits.
uint64_t FeaturesOfTun(unsigned tun_offloads);

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_FEATURES_H_
