// SPDX-License-Identifier: Apache-2.0
#include "virtio.h"

enum {
  kMagic = 0x74726976,  // "virt"
  kPageSize = 4096,
  kHeapStart = 16 << 20,
  kNoInterrupt = 1,
  kNoNotify = 1,
  // How far away the used event is kept, so that no interrupt comes.
  kFarAway = 0x8000,
};

// Where the two VMMs that the benchmarks compare have their slots.
static const struct {
  uint64_t base;
  uint32_t stride;
  uint32_t slots;
} kPlaces[] = {{0xd0001000, 0x1000, 32}, {0xfeb00000, 0x200, 24}};

void fail(const char* why) {
  print("FAILED: ");
  print(why);
  print("\n");
  guest_exit();
}

void print_field(const char* name, uint64_t value) {
  print(" ");
  print(name);
  print("=");
  print_u64(value);
}

void copy_option(const char* key, const char* otherwise, char* to, size_t size) {
  const char* from = option(key);
  if (from == NULL) from = otherwise;
  size_t at = 0;
  for (; from[at] != '\0' && at + 1 < size; ++at) to[at] = from[at];
  to[at] = '\0';
}

void* page_alloc(size_t bytes) {
  static uintptr_t next = kHeapStart;
  const uintptr_t start = next;
  next += (bytes + kPageSize - 1) & ~(uintptr_t)(kPageSize - 1);
  if (next > boot.memory_bytes) fail("out of memory");
  return memset((void*)start, 0, bytes);
}

uint32_t virtio_probe(struct virtio_device* devices, uint32_t max) {
  uint32_t found = 0;
  for (size_t place = 0; place < sizeof(kPlaces) / sizeof(kPlaces[0]); ++place) {
    for (uint32_t slot = 0; slot < kPlaces[place].slots && found < max; ++slot) {
      struct virtio_device device = {.base = kPlaces[place].base + slot * kPlaces[place].stride};
      if (virtio_read(&device, kRegMagic) != kMagic) break;
      if (virtio_read(&device, kRegVersion) != 2) continue;
      device.id = virtio_read(&device, kRegDeviceId);
      if (device.id != 0) devices[found++] = device;
    }
  }
  return found;
}

struct virtio_device* virtio_find(enum virtio_id id, uint32_t nth) {
  static struct virtio_device devices[kVirtioMaxSlots];
  static uint32_t count;
  if (count == 0) count = virtio_probe(devices, kVirtioMaxSlots);
  for (uint32_t i = 0; i < count; ++i) {
    if (devices[i].id == (uint32_t)id && nth-- == 0) return &devices[i];
  }
  fail("no such virtio device");
}

void virtio_negotiate(struct virtio_device* device, uint64_t wanted) {
  virtio_write(device, kRegStatus, 0);
  while (virtio_read(device, kRegStatus) != 0) {
  }
  virtio_write(device, kRegStatus, kStatusAcknowledge);
  virtio_write(device, kRegStatus, kStatusAcknowledge | kStatusDriver);
  device->offered = 0;
  for (uint32_t half = 0; half < 2; ++half) {
    virtio_write(device, kRegDeviceFeaturesSel, half);
    device->offered |= (uint64_t)virtio_read(device, kRegDeviceFeatures) << (32 * half);
  }
  if (!(device->offered & VIRTIO_F_VERSION_1)) fail("a device from before virtio 1.0");
  wanted |= VIRTIO_F_VERSION_1;
  if (option("noeventidx") == NULL) wanted |= VIRTIO_F_EVENT_IDX;
  if (option("noindirect") == NULL) wanted |= VIRTIO_F_INDIRECT_DESC;
  device->features = device->offered & wanted;
  for (uint32_t half = 0; half < 2; ++half) {
    virtio_write(device, kRegDriverFeaturesSel, half);
    virtio_write(device, kRegDriverFeatures, (uint32_t)(device->features >> (32 * half)));
  }
  const uint32_t status = kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk;
  virtio_write(device, kRegStatus, status);
  if (virtio_read(device, kRegStatus) != status) fail("the device refused its own features");
}

static void write_address(const struct virtio_device* device, uint32_t reg, const void* address) {
  virtio_write(device, reg, (uint32_t)(uintptr_t)address);
  virtio_write(device, reg + 4, (uint32_t)((uintptr_t)address >> 32));
}

static volatile uint16_t* used_event(const struct virtqueue* queue) {
  return &queue->avail->ring[queue->size];
}
static volatile uint16_t* avail_event(const struct virtqueue* queue) {
  return (volatile uint16_t*)&queue->used->ring[queue->size];
}

struct virtqueue* virtqueue_new(struct virtio_device* device, uint16_t number) {
  struct virtqueue* queue = page_alloc(sizeof(*queue));
  virtio_write(device, kRegQueueSel, number);
  uint32_t size = virtio_read(device, kRegQueueNumMax);
  if (size == 0) fail("the device lacks a queue");
  const uint32_t most = (uint32_t)option_u64("queue", kVirtioMaxQueueSize);
  while (size > most) size /= 2;
  queue->device = device;
  queue->number = number;
  queue->size = queue->free_count = (uint16_t)size;
  queue->event_idx = (device->features & VIRTIO_F_EVENT_IDX) != 0;
  queue->indirect = (device->features & VIRTIO_F_INDIRECT_DESC) != 0;
  queue->desc = page_alloc(size * sizeof(struct virtq_desc));
  queue->avail = page_alloc(6 + size * 2);
  queue->used = page_alloc(6 + size * 8);
  queue->tables = page_alloc(size * sizeof(*queue->tables));
  for (uint32_t i = 0; i < size; ++i) queue->desc[i].next = (uint16_t)(i + 1);
  if (queue->event_idx) {
    *used_event(queue) = kFarAway;
  } else {
    queue->avail->flags = kNoInterrupt;
  }
  virtio_write(device, kRegQueueNum, size);
  write_address(device, kRegQueueDesc, queue->desc);
  write_address(device, kRegQueueDriver, queue->avail);
  write_address(device, kRegQueueDevice, queue->used);
  virtio_write(device, kRegQueueReady, 1);
  return queue;
}

void virtio_start(struct virtio_device* device) {
  virtio_write(device, kRegStatus, virtio_read(device, kRegStatus) | kStatusDriverOk);
}

void virtio_config(const struct virtio_device* device, uint32_t offset, void* to, size_t size) {
  uint32_t generation;
  do {
    generation = virtio_read(device, kRegConfigGeneration);
    const uintptr_t from = device->base + kRegConfig + offset;
    if ((offset | size) % 4 == 0) {
      for (size_t at = 0; at < size; at += 4) {
        *(uint32_t*)((uint8_t*)to + at) = *(volatile uint32_t*)(from + at);
      }
    } else {
      for (size_t at = 0; at < size; ++at) ((uint8_t*)to)[at] = *(volatile uint8_t*)(from + at);
    }
  } while (virtio_read(device, kRegConfigGeneration) != generation);
}

static void write_desc(struct virtq_desc* to, const struct virtio_part* part, bool last) {
  to->address = (uintptr_t)part->data;
  to->size = part->size;
  to->flags = (part->writable ? kDescWrite : 0) | (last ? 0 : kDescNext);
}

int virtqueue_add(struct virtqueue* queue, const struct virtio_part* parts, unsigned count) {
  const bool indirect = queue->indirect && count > 1;
  if (queue->free_count < (indirect ? 1 : count)) return -1;
  const uint16_t head = queue->free_head;
  if (indirect) {
    struct virtq_desc* table = queue->tables[head];
    for (unsigned i = 0; i < count; ++i) {
      write_desc(&table[i], &parts[i], i + 1 == count);
      table[i].next = (uint16_t)(i + 1);
    }
    queue->desc[head].address = (uintptr_t)table;
    queue->desc[head].size = count * sizeof(*table);
    queue->desc[head].flags = kDescIndirect;
    queue->free_head = queue->desc[head].next;
    queue->free_count -= 1;
  } else {
    // The free descriptors are chained by `next` as a request's are.
    uint16_t at = head;
    for (unsigned i = 0; i < count; ++i) {
      write_desc(&queue->desc[at], &parts[i], i + 1 == count);
      at = queue->desc[at].next;
    }
    queue->free_head = at;
    queue->free_count -= (uint16_t)count;
  }
  queue->avail->ring[queue->avail_index++ & (queue->size - 1)] = head;
  return head;
}

void virtqueue_kick(struct virtqueue* queue) {
  const uint16_t old = queue->kicked;
  const uint16_t new = queue->avail_index;
  if (old == new) return;
  __asm__ volatile("" : : : "memory");  // x86 keeps the order of stores
  queue->avail->index = new;
  queue->kicked = new;
  __sync_synchronize();  // but not that of a store and a load behind it
  const bool wanted = queue->event_idx
                          ? (uint16_t)(new - *avail_event(queue) - 1) < (uint16_t)(new - old)
                          : !(queue->used->flags & kNoNotify);
  if (!wanted) return;
  ++queue->kicks;
  virtio_write(queue->device, kRegQueueNotify, queue->number);
}

int virtqueue_poll(struct virtqueue* queue, uint32_t* written) {
  if (queue->used->index == queue->used_index) {
    __asm__ volatile("pause");
    return -1;
  }
  __asm__ volatile("" : : : "memory");
  const uint16_t slot = queue->used_index++ & (queue->size - 1);
  const uint32_t head = queue->used->ring[slot].head;
  if (written != NULL) *written = queue->used->ring[slot].written;
  if (head >= queue->size) fail("the device completed what is no request");
  if (queue->event_idx && (uint16_t)(*used_event(queue) - queue->used_index) < kFarAway / 2) {
    *used_event(queue) = queue->used_index + kFarAway;
  }
  uint16_t last = (uint16_t)head;
  for (++queue->free_count; queue->desc[last].flags & kDescNext; ++queue->free_count) {
    last = queue->desc[last].next;
  }
  queue->desc[last].next = queue->free_head;
  queue->free_head = (uint16_t)head;
  return (int)head;
}
