// SPDX-License-Identifier: Apache-2.0
// block_io: drives a virtio block device, polled.
//   op=read       requests of `bs` bytes (4096), `depth` in flight (1), order=rand or seq, until
//                 `count` requests or `cycles` of the TSC
//   op=write      the same; op=mixed: half of each
//   op=fill       writes a pattern of `seed` everywhere and flushes
//   op=check      reads it back and compares
//   op=verify     both, again and again with other seeds until `cycles` (once if not given)
//   op=flush      `count` flushes
//   op=discard    fills, gives up the first half, and looks what is there then
//   op=zeroes     the same with zeros instead
//   op=limits     what a device must refuse, and the end of the disk
//   op=each       one request to each of the first `disks` disks
//   op=watch      prints the capacity whenever the device says that it changed
//   disk=N        which (0)
//   span=N        only its first N bytes
// Prints "go", and at the end a line of results.
#include "disk.h"
#include "histogram.h"

static struct disk* disk;
static struct histogram latency;
static char op[16];
static uint64_t seed, limit_count, limit_cycles, span, errors, mismatches, bytes_done;

static uint64_t next_random(void) {
  static uint64_t state = 88172645463325252;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// A word of the pattern tells where it is, and in which round.
static uint64_t pattern(uint64_t offset) {
  return (offset + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed * UINT64_C(0xd1342543de82ef95);
}
static void write_pattern(uint8_t* data, uint64_t offset, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i += 8) *(uint64_t*)(data + i) = pattern(offset + i);
}
static uint64_t differing(const uint8_t* data, uint64_t offset, uint32_t bytes) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < bytes; i += 8)
    count += *(const uint64_t*)(data + i) != pattern(offset + i);
  return count;
}
static uint64_t not_zero(const uint8_t* data, uint32_t bytes) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < bytes; i += 8) count += *(const uint64_t*)(data + i) != 0;
  return count;
}

static void results(uint64_t cycles) {
  print("block_io: op=");
  print(op);
  print_field("ops", latency.count);
  print_field("bytes", bytes_done);
  print_field("errors", errors);
  print_field("mismatches", mismatches);
  print_field("cycles", cycles);
  print_field("kicks", disk->queue->kicks);
  histogram_print(&latency);
  print("\n");
}

static void completed(const struct disk_request* request) {
  histogram_add(&latency, rdtsc() - request->submitted);
  errors += request->status != kDiskOk;
}

// Reads or writes at the depth asked for. A batch is what completed together: one kick for it.
static void stress(bool reads, bool writes) {
  const bool random = !equal(option("order") == NULL ? "rand" : option("order"), "seq");
  const uint32_t size = disk->block_size;
  const uint64_t blocks = span / size;
  const uint64_t start = rdtsc();
  uint64_t submitted = 0;
  if (blocks == 0) fail("the disk is smaller than a request");
  for (;;) {
    const bool more = submitted < limit_count && rdtsc() - start < limit_cycles;
    struct disk_request* request;
    while (more && submitted < limit_count && (request = disk_new(disk)) != NULL) {
      const uint64_t block = (random ? next_random() : submitted) % blocks;
      const bool write = writes && (!reads || (next_random() & 1) != 0);
      disk_submit(disk, request, write ? kDiskWrite : kDiskRead, block * size, size);
      ++submitted;
    }
    virtqueue_kick(disk->queue);
    if (disk->in_flight == 0) break;
    while ((request = disk_poll(disk)) == NULL) {
    }
    do {
      completed(request);
      bytes_done += size;
    } while ((request = disk_poll(disk)) != NULL);
  }
}

static uint64_t common_factor(uint64_t a, uint64_t b) {
  while (b != 0) {
    const uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// Every block once, in an order that is not sequential.
static void sweep(enum disk_request_type type) {
  const uint32_t size = disk->block_size;
  const uint64_t blocks = span / size;
  uint64_t stride = blocks / 3 + 1;
  while (common_factor(blocks, stride) != 1) ++stride;
  uint64_t block = 0, done = 0;
  for (uint64_t left = blocks; left > 0 || disk->in_flight > 0;) {
    struct disk_request* request;
    while (left > 0 && (request = disk_new(disk)) != NULL) {
      if (type == kDiskWrite) write_pattern(request->data, block * size, size);
      disk_submit(disk, request, type, block * size, size);
      block = (block + stride) % blocks;
      --left;
    }
    virtqueue_kick(disk->queue);
    while ((request = disk_poll(disk)) != NULL) {
      completed(request);
      ++done;
      if (type == kDiskRead) {
        mismatches += differing(request->data, request->header.sector * kSectorSize, size);
      }
    }
  }
  bytes_done += done * size;
}

static void flush(void) {
  if (!(disk->device->features & VIRTIO_BLK_F_FLUSH)) return;
  errors += disk_do(disk, kDiskFlush, 0, 0, NULL) != kDiskOk;
}

static void verify(void) {
  const uint64_t start = rdtsc();
  do {
    sweep(kDiskWrite);
    flush();
    sweep(kDiskRead);
    ++seed;
  } while (limit_cycles != ~UINT64_C(0) && rdtsc() - start < limit_cycles && errors == 0 &&
           mismatches == 0);
}

// Gives up the first half in pieces of a block; a device may answer that with zeros or with what
// was there, but zeroes= must be zeros, and the second half must stay.
static void give_up(enum disk_request_type type, uint64_t feature) {
  if (!(disk->device->features & feature)) fail("the device does not offer it");
  sweep(kDiskWrite);
  const uint32_t size = disk->block_size;
  uint64_t half = span / 2 / size * size, zero_blocks = 0;
  for (uint64_t at = 0; at < half; at += size)
    errors += disk_do(disk, type, at, size, NULL) != kDiskOk;
  flush();
  for (uint64_t at = 0; at < span / size * size; at += size) {
    uint8_t* data;
    errors += disk_do(disk, kDiskRead, at, size, &data) != kDiskOk;
    const bool zero = not_zero(data, size) == 0;
    if (at < half && zero) {
      ++zero_blocks;
    } else if (at >= half || type == kDiskWriteZeroes) {
      mismatches += differing(data, at, size) + (at < half);
    }
  }
  print("zero");
  print_field("blocks", zero_blocks);
  print_field("of", half / size);
  print("\n");
}

static void expect(const char* what, uint8_t status, uint8_t wanted) {
  print(what);
  print_field("status", status);
  print_field("wanted", wanted);
  print("\n");
  errors += status != wanted;
}

static void limits(void) {
  uint8_t* data;
  expect("last", disk_do(disk, kDiskRead, disk->capacity - kSectorSize, kSectorSize, NULL),
         kDiskOk);
  expect("behind", disk_do(disk, kDiskRead, disk->capacity, kSectorSize, NULL), kDiskIoError);
  expect("across", disk_do(disk, kDiskRead, disk->capacity - kSectorSize, 2 * kSectorSize, NULL),
         kDiskIoError);
  expect("far",
         disk_do(disk, kDiskRead, UINT64_C(0xffffffffffffff) * kSectorSize, kSectorSize, NULL),
         kDiskIoError);
  expect("odd", disk_do(disk, kDiskRead, 0, 100, NULL), kDiskIoError);
  expect("unknown", disk_do(disk, 77, 0, kSectorSize, NULL), kDiskUnsupported);
  if (disk->device->offered & VIRTIO_BLK_F_RO) {
    expect("write", disk_do(disk, kDiskWrite, 0, kSectorSize, NULL), kDiskIoError);
  }
  expect("id", disk_do(disk, kDiskGetId, 0, 20, &data), kDiskOk);
  print("id=");
  for (int i = 0; i < 20 && data[i] != 0; ++i) print_bytes(&data[i], 1);
  print("\n");
}

// Configuration changes, without interrupts: the status register says them too.
static void watch(void) {
  const uint64_t start = rdtsc();
  uint64_t seen = 0;
  while (rdtsc() - start < limit_cycles) {
    const uint32_t interrupt = virtio_read(disk->device, kRegInterruptStatus);
    virtio_write(disk->device, kRegInterruptAck, interrupt);
    if (seen != 0 && !(interrupt & 2)) continue;
    const uint64_t capacity = disk_capacity(disk);
    if (capacity == seen) continue;
    seen = capacity;
    print("capacity");
    print_field("bytes", capacity);
    print_field("generation", virtio_read(disk->device, kRegConfigGeneration));
    print_field("last_status", disk_do(disk, kDiskRead, capacity - kSectorSize, kSectorSize, NULL));
    print("\n");
  }
}

static void each(void) {
  const uint32_t count = (uint32_t)option_u64("disks", 1);
  for (uint32_t i = 0; i < count; ++i) {
    struct disk* other = disk_start(i, 1, disk->block_size);
    errors += disk_do(other, kDiskRead, 0, disk->block_size, NULL) != kDiskOk;
  }
}

static void in_ring3(void) {
  disk = disk_start((uint32_t)option_u64("disk", 0), (uint32_t)option_u64("depth", 1),
                    (uint32_t)option_u64("bs", 4096));
  histogram_init(&latency);
  span = option_u64("span", disk->capacity);
  if (span > disk->capacity) span = disk->capacity;
  print("disk");
  print_field("capacity", disk->capacity);
  print_field("features", disk->device->offered);
  print("\ngo\n");
  const uint64_t start = rdtsc();
  if (equal(op, "read")) stress(true, false);
  if (equal(op, "write")) stress(false, true);
  if (equal(op, "mixed")) stress(true, true);
  if (equal(op, "fill")) sweep(kDiskWrite), flush();
  if (equal(op, "check")) sweep(kDiskRead);
  if (equal(op, "verify")) verify();
  if (equal(op, "flush")) {
    for (uint64_t i = 0; i < limit_count; ++i) flush();
  }
  if (equal(op, "discard")) give_up(kDiskDiscard, VIRTIO_BLK_F_DISCARD);
  if (equal(op, "zeroes")) give_up(kDiskWriteZeroes, VIRTIO_BLK_F_WRITE_ZEROES);
  if (equal(op, "limits")) limits();
  if (equal(op, "each")) each();
  if (equal(op, "watch")) watch();
  results(rdtsc() - start);
  guest_exit();
}

void guest_main(void) {
  copy_option("op", "read", op, sizeof(op));
  seed = option_u64("seed", 1);
  limit_cycles = option_u64("cycles", ~UINT64_C(0));
  limit_count = option_u64("count", limit_cycles == ~UINT64_C(0) ? 1000 : ~UINT64_C(0));
  enter_ring3(in_ring3);
}
