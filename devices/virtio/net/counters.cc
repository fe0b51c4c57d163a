// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/counters.h"

namespace hearth::virtio::net {

void Counters::Visit(base::MetricVisitor visitor) const {
#define HEARTH_VISIT(name) visitor(#name, name.value())
  HEARTH_VISIT(rx_packets_count);
  HEARTH_VISIT(rx_bytes_count);
  HEARTH_VISIT(rx_fails);
  HEARTH_VISIT(rx_spills);
  HEARTH_VISIT(tap_read_fails);
  HEARTH_VISIT(no_rx_avail_buffer);
  HEARTH_VISIT(rx_rate_limiter_throttled);
  HEARTH_VISIT(rx_event_rate_limiter_count);
  HEARTH_VISIT(rx_queue_event_count);
  HEARTH_VISIT(rx_tap_event_count);
  HEARTH_VISIT(tx_packets_count);
  HEARTH_VISIT(tx_bytes_count);
  HEARTH_VISIT(tx_fails);
  HEARTH_VISIT(tx_malformed_frames);
  HEARTH_VISIT(tx_spoofed_mac_count);
  HEARTH_VISIT(tx_link_down_drops);
  HEARTH_VISIT(tx_full);
  HEARTH_VISIT(tx_rate_limiter_throttled);
  HEARTH_VISIT(tx_rate_limiter_event_count);
  HEARTH_VISIT(tx_queue_event_count);
  HEARTH_VISIT(hook_tx_packets);
  HEARTH_VISIT(hook_rx_packets);
  HEARTH_VISIT(control_commands);
  HEARTH_VISIT(control_errors);
  HEARTH_VISIT(mac_address_updates);
  HEARTH_VISIT(link_changes);
  HEARTH_VISIT(announcements);
  HEARTH_VISIT(spin_hits);
  HEARTH_VISIT(spin_misses);
#undef HEARTH_VISIT
}

}  // namespace hearth::virtio::net
