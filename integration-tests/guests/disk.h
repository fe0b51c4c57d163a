// SPDX-License-Identifier: Apache-2.0
// Requests to a virtio block device: a fixed number in flight, each with a buffer of its own.
#ifndef HEARTH_INTEGRATION_TESTS_GUESTS_DISK_H_
#define HEARTH_INTEGRATION_TESTS_GUESTS_DISK_H_

#include "virtio.h"

enum { kSectorSize = 512, kMaxDepth = 256 };

#define VIRTIO_BLK_F_RO (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_FLUSH (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_MQ (UINT64_C(1) << 12)
#define VIRTIO_BLK_F_DISCARD (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

enum disk_request_type {
  kDiskRead = 0,
  kDiskWrite = 1,
  kDiskFlush = 4,
  kDiskGetId = 8,
  kDiskDiscard = 11,
  kDiskWriteZeroes = 13,
};
enum disk_status { kDiskOk = 0, kDiskIoError = 1, kDiskUnsupported = 2, kDiskPending = 0xff };

struct disk_request {
  struct {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
  } header;
  struct {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
  } range;  // of a discard
  volatile uint8_t status;
  uint8_t* data;
  uint64_t submitted;  // TSC
};

struct disk {
  struct virtio_device* device;
  struct virtqueue* queue;
  uint32_t depth, block_size;
  uint32_t in_flight;
  uint64_t capacity;  // bytes
  struct disk_request* requests;
  uint16_t free[kMaxDepth], free_count;
  uint16_t by_head[kVirtioMaxQueueSize];
};

// Starts the `nth` block device, for requests of up to `block_size` bytes.
struct disk* disk_start(uint32_t nth, uint32_t depth, uint32_t block_size);
// A request to fill in, or NULL when `depth` are in flight.
struct disk_request* disk_new(struct disk* disk);
// `bytes` of data, from or at `offset` bytes. Seen by the device after virtqueue_kick().
void disk_submit(struct disk* disk, struct disk_request* request, enum disk_request_type type,
                 uint64_t offset, uint32_t bytes);
// A completed request, or NULL. It is free again at the next disk_new().
struct disk_request* disk_poll(struct disk* disk);
// Alone, start to end; returns the status.
uint8_t disk_do(struct disk* disk, enum disk_request_type type, uint64_t offset, uint32_t bytes,
                uint8_t** data);
uint64_t disk_capacity(const struct disk* disk);

#endif  // HEARTH_INTEGRATION_TESTS_GUESTS_DISK_H_
