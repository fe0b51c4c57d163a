// SPDX-License-Identifier: Apache-2.0
#include "disk.h"

uint64_t disk_capacity(const struct disk* disk) {
  uint64_t sectors;
  virtio_config(disk->device, 0, &sectors, sizeof(sectors));
  return sectors * kSectorSize;
}

struct disk* disk_start(uint32_t nth, uint32_t depth, uint32_t block_size) {
  if (depth == 0 || depth > kMaxDepth) fail("depth is 1 to 256");
  struct disk* disk = page_alloc(sizeof(*disk));
  disk->device = virtio_find(kVirtioBlock, nth);
  virtio_negotiate(disk->device, VIRTIO_BLK_F_RO | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD |
                                     VIRTIO_BLK_F_WRITE_ZEROES);
  disk->queue = virtqueue_new(disk->device, 0);
  virtio_start(disk->device);
  disk->depth = depth;
  disk->block_size = block_size;
  disk->capacity = disk_capacity(disk);
  disk->requests = page_alloc(depth * sizeof(struct disk_request));
  uint8_t* data = page_alloc((size_t)depth * block_size);
  for (uint32_t i = 0; i < depth; ++i) {
    disk->requests[i].data = data + (size_t)i * block_size;
    disk->free[disk->free_count++] = (uint16_t)i;
  }
  return disk;
}

struct disk_request* disk_new(struct disk* disk) {
  // A request takes up to three descriptors where there are no indirect ones.
  if (disk->free_count == 0 || disk->queue->free_count < 3) return NULL;
  return &disk->requests[disk->free[--disk->free_count]];
}

void disk_submit(struct disk* disk, struct disk_request* request, enum disk_request_type type,
                 uint64_t offset, uint32_t bytes) {
  request->header.type = type;
  request->header.sector = offset / kSectorSize;
  request->status = kDiskPending;
  struct virtio_part parts[3] = {{&request->header, sizeof(request->header), false}};
  unsigned count = 1;
  if (type == kDiskDiscard || type == kDiskWriteZeroes) {
    request->header.sector = 0;
    request->range.sector = offset / kSectorSize;
    request->range.sectors = bytes / kSectorSize;
    parts[count++] = (struct virtio_part){&request->range, sizeof(request->range), false};
  } else if (type != kDiskFlush) {
    parts[count++] = (struct virtio_part){request->data, bytes, type != kDiskWrite};
  }
  parts[count++] = (struct virtio_part){&request->status, 1, true};
  request->submitted = rdtsc();
  const int head = virtqueue_add(disk->queue, parts, count);
  if (head < 0) fail("the queue is full");
  disk->by_head[head] = (uint16_t)(request - disk->requests);
  ++disk->in_flight;
}

struct disk_request* disk_poll(struct disk* disk) {
  const int head = virtqueue_poll(disk->queue, NULL);
  if (head < 0) return NULL;
  const uint16_t number = disk->by_head[head];
  disk->free[disk->free_count++] = number;
  --disk->in_flight;
  if (disk->requests[number].status == kDiskPending) fail("completed without a status");
  return &disk->requests[number];
}

uint8_t disk_do(struct disk* disk, enum disk_request_type type, uint64_t offset, uint32_t bytes,
                uint8_t** data) {
  struct disk_request* request = disk_new(disk);
  if (request == NULL || disk->in_flight != 0) fail("not alone");
  disk_submit(disk, request, type, offset, bytes);
  virtqueue_kick(disk->queue);
  do {
    request = disk_poll(disk);
  } while (request == NULL);
  if (data != NULL) *data = request->data;
  return request->status;
}
