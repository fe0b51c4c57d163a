// SPDX-License-Identifier: Apache-2.0
// virtio_hostile: does to all virtio devices what no driver does: registers in any order, queues
// that lie anywhere, descriptors that loop, wrap and point at nothing, indices that jump, resets in
// between, writes to every configuration space. Then each device is set up as it should be, and a
// disk must still read.
//   cycles=N   of the TSC, for how long (1000000000)
//   seed=N     of the random values
//   only=ID    devices of this virtio id only
#include "disk.h"
#include "virtio.h"

// A balloon takes whatever lies in the arena for numbers of pages, and empties them. The guest
// itself is where small numbers do not lead, and random ones get bits that lead behind its memory,
// however they are aligned.
#define HARMLESS UINT64_C(0x8000800080008000)

enum { kArenaSize = 4 << 20, kRingSize = 64, kPageSize = 4096, kMaxQueues = 6 };

// All that devices may write to by what they are told. The guest itself is elsewhere.
static uint8_t* arena;
static uint64_t state, rounds, resets, needs_reset;
static struct virtio_device devices[kVirtioMaxSlots];
static uint32_t device_count;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * UINT64_C(0x2545f4914f6cdd1d);
}
static uint32_t below(uint32_t limit) { return (uint32_t)(next_random() >> 33) % limit; }
static bool once_in(uint32_t n) { return below(n) == 0; }

static uint64_t arena_address(void) { return (uintptr_t)arena + below(kArenaSize); }

// Mostly somewhere that exists.
static uint64_t any_address(void) {
  switch (below(12)) {
    case 0:
      return next_random() | UINT64_C(1) << 40;
    case 1:
      return UINT64_C(0xfffffffffffffff0) + below(16);
    case 2:
      return boot.memory_bytes + below(1 << 20);  // behind memory, or nearly
    case 3:
      return 0xd0000000 + below(0x40000);  // the devices themselves
    case 4:
      return 0xfee00000 + below(0x1000);
    case 5:
      return UINT64_C(0x8000000000000000) - below(4096);
    case 6:
      return (uintptr_t)arena + kArenaSize - 1;  // leaves the arena: reads only, see below
    default:
      return arena_address();
  }
}

static uint32_t any_size(void) {
  static const uint32_t kSizes[] = {0,     1,     4,       8,          12,         15,        16,
                                    20,    24,    511,     512,        513,        1514,      4096,
                                    65536, 65550, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff};
  return once_in(4) ? (uint32_t)(next_random() | HARMLESS)
                    : kSizes[below(sizeof(kSizes) / sizeof(kSizes[0]))];
}

static void any_access(const struct virtio_device* device) {
  const uintptr_t at = device->base + (once_in(3) ? below(0x200) : below(0x40) * 4);
  const uint64_t value = once_in(2) ? next_random() : below(70);
  switch (below(8)) {
    case 0:
      *(volatile uint8_t*)at = (uint8_t)value;
      break;
    case 1:
      *(volatile uint16_t*)at = (uint16_t)value;
      break;
    case 2:
      *(volatile uint64_t*)at = value;
      break;
    case 3:
      (void)*(volatile uint8_t*)at;
      break;
    case 4:
      (void)*(volatile uint16_t*)at;
      break;
    case 5:
      (void)*(volatile uint64_t*)at;
      break;
    case 6:
      (void)*(volatile uint32_t*)at;
      break;
    default:
      *(volatile uint32_t*)at = (uint32_t)value;
      break;
  }
}

static void reset(const struct virtio_device* device) {
  needs_reset += (virtio_read(device, kRegStatus) & kStatusNeedsReset) != 0;
  virtio_write(device, kRegStatus, 0);
  ++resets;
}

// The start of a driver, now and then with a step left out or done wrong.
static void begin(const struct virtio_device* device) {
  reset(device);
  virtio_write(device, kRegStatus, kStatusAcknowledge);
  virtio_write(device, kRegStatus, kStatusAcknowledge | kStatusDriver);
  uint64_t features = 0;
  for (uint32_t half = 0; half < 2; ++half) {
    virtio_write(device, kRegDeviceFeaturesSel, half);
    features |= (uint64_t)virtio_read(device, kRegDeviceFeatures) << (32 * half);
  }
  if (once_in(4)) features &= next_random() | VIRTIO_F_VERSION_1;
  if (once_in(20)) features = next_random();
  for (uint32_t half = 0; half < 2; ++half) {
    virtio_write(device, kRegDriverFeaturesSel, half);
    virtio_write(device, kRegDriverFeatures, (uint32_t)(features >> (32 * half)));
  }
  if (!once_in(20)) {
    virtio_write(device, kRegStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
  }
}

struct rings {
  struct virtq_desc desc[kRingSize];
  uint16_t avail[3 + kRingSize];
  uint8_t used[6 + 8 * kRingSize] __attribute__((aligned(4)));
};
static struct rings* rings_of(uint32_t queue) {
  return (struct rings*)(arena + queue * 2 * kPageSize);
}

static void set_address(const struct virtio_device* device, uint32_t reg,
                        const volatile void* good) {
  const uint64_t address = once_in(15) ? any_address() : (uint64_t)(uintptr_t)good;
  virtio_write(device, reg, (uint32_t)address);
  virtio_write(device, reg + 4, (uint32_t)(address >> 32));
}

static void set_up_queue(const struct virtio_device* device, uint32_t queue) {
  struct rings* rings = rings_of(queue);
  memset(rings, 0, sizeof(*rings));
  virtio_write(device, kRegQueueSel, queue);
  virtio_write(device, kRegQueueNum, once_in(15) ? (uint32_t)next_random() : kRingSize);
  set_address(device, kRegQueueDesc, rings->desc);
  set_address(device, kRegQueueDriver, rings->avail);
  set_address(device, kRegQueueDevice, rings->used);
  virtio_write(device, kRegQueueReady, once_in(20) ? 0 : 1);
}

static bool leaves_arena(const struct virtq_desc* desc) {
  return desc->address >= (uintptr_t)arena &&
         desc->address + desc->size > (uintptr_t)arena + kArenaSize;
}

// Descriptors are made aside: in the arena they may change while they are looked at.
static void bad_table(struct virtq_desc* table, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    struct virtq_desc desc = {.address = arena_address(),
                              .size = once_in(2) ? below(128) : 512 + below(3585),
                              .flags = (uint16_t)below(8),
                              .next = (uint16_t)below(40)};
    if (leaves_arena(&desc)) desc.size = 0;
    table[i] = desc;
  }
}

static void bad_descriptor(struct virtq_desc* to) {
  struct virtq_desc desc = {
      .address = any_address(),
      .size = any_size(),
      .flags = (uint16_t)(once_in(8) ? next_random() | HARMLESS : below(4)),
      .next = (uint16_t)(once_in(10) ? next_random() | HARMLESS : below(kRingSize + 1))};
  if (once_in(6)) {
    const uint32_t count = below(40);
    desc.flags = kDescIndirect | (once_in(5) ? kDescNext : 0);
    desc.size = count * (once_in(8) ? 7 : (uint32_t)sizeof(desc));
    desc.address = (arena_address() & ~UINT64_C(15)) - (once_in(10) ? 3 : 0);
    if (leaves_arena(&desc)) desc.address = (uintptr_t)arena + 64 * kPageSize;
    bad_table((struct virtq_desc*)(uintptr_t)desc.address, desc.size / sizeof(desc));
  } else if (leaves_arena(&desc)) {
    // What a device may write to stays inside, however long it is.
    if (once_in(3)) {
      desc.flags &= (uint16_t)~kDescWrite;
    } else {
      desc.size = (uint32_t)((uintptr_t)arena + kArenaSize - desc.address);
    }
  }
  *to = desc;
}

// A request as the device knows it (so that the bad ones get far), of up to three descriptors.
static void good_start(struct rings* rings, uint16_t head) {
  struct {
    uint32_t type, reserved;
    uint64_t sector;
  }* header = (void*)(arena + 32 * kPageSize + head * 64);
  header->type = once_in(2) ? below(15) : below(2);
  header->sector = once_in(4) ? next_random() | HARMLESS : below(64);
  rings->desc[head].address = (uintptr_t)header;
  rings->desc[head].size = 16;
  rings->desc[head].flags = kDescNext;
  rings->desc[head].next = (uint16_t)((head + 1) % kRingSize);
}

static void fill_rings(uint32_t queue) {
  struct rings* rings = rings_of(queue);
  for (uint32_t i = 0; i < kRingSize; ++i) bad_descriptor(&rings->desc[i]);
  for (uint32_t i = 0; i < kRingSize; i += 4) {
    if (once_in(2)) good_start(rings, (uint16_t)i);
  }
  for (uint32_t i = 0; i < kRingSize; ++i) {
    rings->avail[2 + i] = (uint16_t)(once_in(20) ? next_random() | HARMLESS : below(kRingSize + 1));
  }
  rings->avail[0] = (uint16_t)below(3);
  rings->avail[2 + kRingSize] =
      (uint16_t)(once_in(2) ? next_random() | HARMLESS : below(kRingSize));
  rings->avail[1] += (uint16_t)(once_in(6) ? next_random() : 1 + below(8));
}

static void flood(const struct virtio_device* device) {
  begin(device);
  const uint32_t queues = 1 + below(kMaxQueues);
  for (uint32_t queue = 0; queue < queues; ++queue) set_up_queue(device, queue);
  virtio_write(device, kRegStatus,
               kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
  for (uint32_t i = below(30); i > 0; --i) {
    const uint32_t queue = below(queues);
    fill_rings(queue);
    virtio_write(device, kRegQueueNotify, once_in(10) ? (uint32_t)next_random() : queue);
    if (once_in(5)) any_access(device);
    if (once_in(10)) set_up_queue(device, below(queues));  // while the device has it
    // The device works on what changes under it.
    for (uint32_t j = below(300); j > 0; --j) {
      bad_descriptor(&rings_of(queue)->desc[below(kRingSize)]);
    }
  }
}

static void recover(void) {
  uint32_t disks = 0, recovered = 0;
  for (uint32_t i = 0; i < device_count; ++i) {
    reset(&devices[i]);
    if (virtio_read(&devices[i], kRegStatus) != 0) fail("a device did not reset");
    if (devices[i].id != kVirtioBlock) continue;
    struct disk* disk = disk_start(disks++, 1, 4096);
    recovered += disk_do(disk, kDiskRead, 0, 512, NULL) == kDiskOk;
  }
  print("recovered");
  print_field("disks", recovered);
  print_field("of", disks);
  print("\n");
}

// The command line lies where a balloon may empty a page.
static void keep_command_line(void) {
  static char copy[1024];
  for (size_t i = 0; i + 1 < sizeof(copy) && boot.command_line[i] != '\0'; ++i) {
    copy[i] = boot.command_line[i];
  }
  boot.command_line = copy;
}

static void in_ring3(void) {
  keep_command_line();
  arena = page_alloc(kArenaSize);
  state = option_u64("seed", 88172645463325252) | 1;
  const uint64_t limit = option_u64("cycles", 1000000000);
  const uint64_t only = option_u64("only", 0);
  device_count = virtio_probe(devices, kVirtioMaxSlots);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < device_count; ++i) {
    if (only == 0 || devices[i].id == only) devices[kept++] = devices[i];
  }
  device_count = kept;
  if (device_count == 0) fail("no device");
  for (size_t i = 0; i < kArenaSize; i += 8) *(uint64_t*)(arena + i) = next_random() | HARMLESS;
  print("devices");
  print_field("count", device_count);
  print("\ngo\n");
  for (const uint64_t start = rdtsc(); rdtsc() - start < limit; ++rounds) {
    const struct virtio_device* device = &devices[below(device_count)];
    if (once_in(4)) {
      for (uint32_t i = below(100); i > 0; --i) any_access(device);
    } else {
      flood(device);
    }
  }
  print("virtio_hostile:");
  print_field("rounds", rounds);
  print_field("resets", resets);
  print_field("needs_reset", needs_reset);
  print("\n");
  recover();
  print("virtio_hostile: done\n");
  guest_exit();
}

void guest_main(void) { enter_ring3(in_ring3); }
