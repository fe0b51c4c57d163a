// SPDX-License-Identifier: Apache-2.0
// Raw Ethernet frames over a virtio network device: one receive and one transmit queue, no
// offloads.
#ifndef HEARTH_INTEGRATION_TESTS_GUESTS_NIC_H_
#define HEARTH_INTEGRATION_TESTS_GUESTS_NIC_H_

#include "virtio.h"

#define VIRTIO_NET_F_MTU (UINT64_C(1) << 3)
#define VIRTIO_NET_F_MAC (UINT64_C(1) << 5)
#define VIRTIO_NET_F_MRG_RXBUF (UINT64_C(1) << 15)
#define VIRTIO_NET_F_STATUS (UINT64_C(1) << 16)

enum { kMacSize = 6, kNetHeaderSize = 12, kFrameMax = 1514, kNicBufferSize = 2048 };

struct nic {
  struct virtio_device* device;
  struct virtqueue *rx, *tx;
  uint8_t mac[kMacSize];
  uint8_t* rx_buffers;  // one for each entry of the queue
  uint8_t* tx_buffers;
  uint16_t rx_by_head[kVirtioMaxQueueSize], tx_by_head[kVirtioMaxQueueSize];
  uint16_t tx_free[kVirtioMaxQueueSize], tx_free_count;
};

struct nic* nic_start(uint32_t nth, uint64_t wanted);
// Where to build the next frame, or NULL when all buffers are on their way.
uint8_t* nic_new(struct nic* nic);
// Seen by the device after nic_kick().
void nic_send(struct nic* nic, uint8_t* frame, uint32_t size);
void nic_kick(struct nic* nic);
// Takes back what was sent; returns how many frames.
uint32_t nic_reap(struct nic* nic);
// A frame that came, valid until nic_return() of it, or NULL.
uint8_t* nic_receive(struct nic* nic, uint32_t* size);
void nic_return(struct nic* nic, uint8_t* frame);

#endif  // HEARTH_INTEGRATION_TESTS_GUESTS_NIC_H_
