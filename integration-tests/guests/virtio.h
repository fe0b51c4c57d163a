// SPDX-License-Identifier: Apache-2.0
// A small polled virtio driver for the tiny guests: virtio-mmio version 2, split queues, no
// interrupts. Runs in ring 3, where the guest is as fast as the processor.
//
//   struct virtio_device* disk = virtio_find(kVirtioBlock, 0);
//   virtio_negotiate(disk, wanted);  // and queues, then
//   virtio_start(disk);
//   int head = virtqueue_add(queue, parts, count);
//   virtqueue_kick(queue);
//   while ((done = virtqueue_poll(queue, &written)) < 0) {}
//
// Words of the command line that all drivers take: `noeventidx` and `noindirect` leave those
// features out, `queue=N` sets the greatest size of a queue.
// Source: virtio 1.2, "Virtio Over MMIO" and "Split Virtqueues".
#ifndef HEARTH_INTEGRATION_TESTS_GUESTS_VIRTIO_H_
#define HEARTH_INTEGRATION_TESTS_GUESTS_VIRTIO_H_

#include "guest.h"

enum virtio_id { kVirtioNet = 1, kVirtioBlock = 2, kVirtioBalloon = 5 };

enum virtio_register {
  kRegMagic = 0x00,
  kRegVersion = 0x04,
  kRegDeviceId = 0x08,
  kRegVendorId = 0x0c,
  kRegDeviceFeatures = 0x10,
  kRegDeviceFeaturesSel = 0x14,
  kRegDriverFeatures = 0x20,
  kRegDriverFeaturesSel = 0x24,
  kRegQueueSel = 0x30,
  kRegQueueNumMax = 0x34,
  kRegQueueNum = 0x38,
  kRegQueueReady = 0x44,
  kRegQueueNotify = 0x50,
  kRegInterruptStatus = 0x60,
  kRegInterruptAck = 0x64,
  kRegStatus = 0x70,
  kRegQueueDesc = 0x80,  // and the high half behind it; so for the next two
  kRegQueueDriver = 0x90,
  kRegQueueDevice = 0xa0,
  kRegConfigGeneration = 0xfc,
  kRegConfig = 0x100,
};

enum virtio_status {
  kStatusAcknowledge = 1,
  kStatusDriver = 2,
  kStatusDriverOk = 4,
  kStatusFeaturesOk = 8,
  kStatusNeedsReset = 64,
};

#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

enum { kVirtioMaxSlots = 64, kVirtioMaxParts = 8, kVirtioMaxQueueSize = 1024 };

struct virtio_device {
  uintptr_t base;  // of the register page
  uint32_t id;
  uint64_t offered, features;
};

enum { kDescNext = 1, kDescWrite = 2, kDescIndirect = 4 };
struct virtq_desc {
  uint64_t address;
  uint32_t size;
  uint16_t flags;
  uint16_t next;
};
struct virtq_avail {
  uint16_t flags;  // 1: no interrupt
  volatile uint16_t index;
  uint16_t ring[];  // and the used event
};
struct virtq_used {
  volatile uint16_t flags;  // 1: no notification
  volatile uint16_t index;
  volatile struct {
    uint32_t head;
    uint32_t written;
  } ring[];  // and the available event
};

struct virtqueue {
  struct virtio_device* device;
  uint16_t number;
  uint16_t size;
  uint16_t free_count, free_head;
  uint16_t avail_index;  // with what is not published yet
  uint16_t kicked;       // the index at the last kick
  uint16_t used_index;   // what was polled
  bool event_idx, indirect;
  uint64_t kicks;
  struct virtq_desc* desc;
  struct virtq_avail* avail;
  struct virtq_used* used;
  struct virtq_desc (*tables)[kVirtioMaxParts];  // indirect ones, by head
};

// One element of a request.
struct virtio_part {
  const volatile void* data;
  uint32_t size;
  bool writable;  // by the device
};

static inline uint32_t virtio_read(const struct virtio_device* device, uint32_t reg) {
  return *(volatile uint32_t*)(device->base + reg);
}
static inline void virtio_write(const struct virtio_device* device, uint32_t reg, uint32_t value) {
  *(volatile uint32_t*)(device->base + reg) = value;
}

// Zeroed memory for rings and buffers, on pages; ends the guest if there is none.
void* page_alloc(size_t bytes);

// All devices, whichever VMM made them, by slot; returns how many.
uint32_t virtio_probe(struct virtio_device* devices, uint32_t max);
// The `nth` of its kind; ends the guest with a message if there is none.
struct virtio_device* virtio_find(enum virtio_id id, uint32_t nth);
// From reset up to FEATURES_OK, with what is both wanted and offered; the driver's own ring
// features come by themselves.
void virtio_negotiate(struct virtio_device* device, uint64_t wanted);
// Between virtio_negotiate() and virtio_start().
struct virtqueue* virtqueue_new(struct virtio_device* device, uint16_t number);
void virtio_start(struct virtio_device* device);
// The configuration space, by a stable generation: fields of 32 or 64 bits, or else of bytes.
void virtio_config(const struct virtio_device* device, uint32_t offset, void* to, size_t size);

// Up to kVirtioMaxParts parts; those that the device reads first. Returns the request's number, or
// -1 when the queue is full. The device sees it after virtqueue_kick().
int virtqueue_add(struct virtqueue* queue, const struct virtio_part* parts, unsigned count);
// Makes what was added visible, and notifies the device if it wants that.
void virtqueue_kick(struct virtqueue* queue);
// The number of a completed request, or -1.
int virtqueue_poll(struct virtqueue* queue, uint32_t* written);

__attribute__((noreturn)) void fail(const char* why);
// " name=value", for lines of results.
void print_field(const char* name, uint64_t value);
void copy_option(const char* key, const char* otherwise, char* to, size_t size);

#endif  // HEARTH_INTEGRATION_TESTS_GUESTS_VIRTIO_H_
