// SPDX-License-Identifier: Apache-2.0
// What a network device counts; Firecracker's names where the meaning is the same. Added to by the
// device's thread, read by any.
#ifndef HEARTH_DEVICES_VIRTIO_NET_COUNTERS_H_
#define HEARTH_DEVICES_VIRTIO_NET_COUNTERS_H_

#include "base/metrics.h"

namespace hearth::virtio::net {

struct Counters {
  base::Counter rx_packets_count, rx_bytes_count;  // bytes of frames, without the NetHeader
  base::Counter rx_fails;   // packets lost: the guest's buffers were too small
  base::Counter rx_spills;  // packets larger than the buffers at hand
  base::Counter tap_read_fails;
  base::Counter no_rx_avail_buffer;
  base::Counter rx_rate_limiter_throttled, rx_event_rate_limiter_count;
  base::Counter rx_queue_event_count, rx_tap_event_count;

  base::Counter tx_packets_count, tx_bytes_count;
  base::Counter tx_fails;             // packets that the host did not take
  base::Counter tx_malformed_frames;  // packets that nobody could take
  base::Counter tx_spoofed_mac_count;
  base::Counter tx_link_down_drops;
  base::Counter tx_full;  // waits for room in the host's buffers
  base::Counter tx_rate_limiter_throttled, tx_rate_limiter_event_count;
  base::Counter tx_queue_event_count;

  base::Counter hook_tx_packets, hook_rx_packets;
  base::Counter control_commands, control_errors, mac_address_updates;
  base::Counter link_changes, announcements;
  base::Counter spin_hits, spin_misses;

  void Visit(base::MetricVisitor visitor) const;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_COUNTERS_H_
