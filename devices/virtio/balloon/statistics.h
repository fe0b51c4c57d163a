// SPDX-License-Identifier: Apache-2.0
// The driver's buffer of memory statistics. Source: virtio 1.2, "Memory Statistics" and "Memory
// Statistics Tags"; tags 10 to 15 are those that Linux has added since.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_STATISTICS_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_STATISTICS_H_

#include "devices/virtio/balloon/balloon.pb.h"
#include "devices/virtio/core/descriptor_chain.h"

namespace hearth::virtio::balloon {

// le16 tag, le64 value, packed.
inline constexpr uint32_t kStatisticBytes = 10;
// More entries than this in one buffer are not looked at.
inline constexpr uint32_t kMaxStatistics = 256;

// Merges what the readable buffers of `chain` say into `*statistics`. Unknown tags are skipped, of
// one that is there twice the last value holds. False if the buffer is no array of entries, or too
// long a one; what could be read is merged even so.
[[nodiscard]] bool MergeStatistics(const DescriptorChain& chain, BalloonStatistics* statistics);

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_STATISTICS_H_
