// SPDX-License-Identifier: Apache-2.0
#include "nic.h"

enum { kRxQueue = 0, kTxQueue = 1 };

static void give(struct nic* nic, uint16_t buffer) {
  const struct virtio_part part = {nic->rx_buffers + (size_t)buffer * kNicBufferSize,
                                   kNicBufferSize, true};
  const int head = virtqueue_add(nic->rx, &part, 1);
  if (head < 0) fail("the receive queue is full");
  nic->rx_by_head[head] = buffer;
}

struct nic* nic_start(uint32_t nth, uint64_t wanted) {
  struct nic* nic = page_alloc(sizeof(*nic));
  nic->device = virtio_find(kVirtioNet, nth);
  virtio_negotiate(nic->device, wanted | VIRTIO_NET_F_MAC);
  nic->rx = virtqueue_new(nic->device, kRxQueue);
  nic->tx = virtqueue_new(nic->device, kTxQueue);
  virtio_start(nic->device);
  if (nic->device->features & VIRTIO_NET_F_MAC) virtio_config(nic->device, 0, nic->mac, kMacSize);
  nic->rx_buffers = page_alloc((size_t)nic->rx->size * kNicBufferSize);
  nic->tx_buffers = page_alloc((size_t)nic->tx->size * kNicBufferSize);
  for (uint16_t i = 0; i < nic->rx->size; ++i) give(nic, i);
  for (uint16_t i = 0; i < nic->tx->size; ++i) nic->tx_free[nic->tx_free_count++] = i;
  virtqueue_kick(nic->rx);
  return nic;
}

uint8_t* nic_new(struct nic* nic) {
  if (nic->tx_free_count == 0) return NULL;
  const uint16_t buffer = nic->tx_free[--nic->tx_free_count];
  return nic->tx_buffers + (size_t)buffer * kNicBufferSize + kNetHeaderSize;
}

void nic_send(struct nic* nic, uint8_t* frame, uint32_t size) {
  uint8_t* const start = frame - kNetHeaderSize;
  const struct virtio_part part = {start, kNetHeaderSize + size, false};
  const int head = virtqueue_add(nic->tx, &part, 1);
  if (head < 0) fail("the transmit queue is full");
  nic->tx_by_head[head] = (uint16_t)((start - nic->tx_buffers) / kNicBufferSize);
}

void nic_kick(struct nic* nic) { virtqueue_kick(nic->tx); }

uint32_t nic_reap(struct nic* nic) {
  uint32_t count = 0;
  for (int head; (head = virtqueue_poll(nic->tx, NULL)) >= 0; ++count) {
    nic->tx_free[nic->tx_free_count++] = nic->tx_by_head[head];
  }
  return count;
}

uint8_t* nic_receive(struct nic* nic, uint32_t* size) {
  uint32_t written;
  const int head = virtqueue_poll(nic->rx, &written);
  if (head < 0) return NULL;
  if (written < kNetHeaderSize || written > kNicBufferSize) fail("a frame of no sensible size");
  *size = written - kNetHeaderSize;
  return nic->rx_buffers + (size_t)nic->rx_by_head[head] * kNicBufferSize + kNetHeaderSize;
}

void nic_return(struct nic* nic, uint8_t* frame) {
  give(nic, (uint16_t)((frame - kNetHeaderSize - nic->rx_buffers) / kNicBufferSize));
  // The device needs to know of buffers only when it ran out of them; virtqueue_kick() asks.
  virtqueue_kick(nic->rx);
}
