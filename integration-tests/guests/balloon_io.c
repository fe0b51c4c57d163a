// SPDX-License-Identifier: Apache-2.0
// balloon_io: a driver of the virtio balloon whose memory is a region of `mib` MiB (64), all of it
// touched at the start. Until `cycles` of the TSC have gone by it follows num_pages of the
// configuration space: gives pages up, or takes them back, and looks whether they read zero.
//   stats         answers requests for statistics, with 1000 and the tag, in pages, as values
//   report        reports the pages outside of the balloon as free, once, and looks whether they
//                 read zero
//   blind         does not look
//   hint          hints them as free whenever the host asks
// Prints "go", then a line for everything that it does.
#include "virtio.h"

#define VIRTIO_BALLOON_F_STATS_VQ (UINT64_C(1) << 1)
#define VIRTIO_BALLOON_F_FREE_PAGE_HINT (UINT64_C(1) << 3)
#define VIRTIO_BALLOON_F_REPORTING (UINT64_C(1) << 5)

enum {
  kPageSize = 4096,
  kPagesPerMib = 256,
  kPagesAtOnce = 256,  // in an array of page frame numbers
  kReportAtOnce = 1 << 20,
  kStats = 16,
  kConfigNumPages = 0,
  kConfigActual = 4,
  kConfigHintCommand = 8,
  kHintStop = 0,
  kHintDone = 1,
};

static struct virtio_device* balloon;
static struct virtqueue *inflate, *deflate, *stats, *hints, *reports;
static uint8_t* region;
static uint32_t pages, actual;  // of the region; the balloon holds the first `actual` ones
static uint32_t pfns[kPagesAtOnce];

static void wait_for(struct virtqueue* queue) {
  virtqueue_kick(queue);
  while (virtqueue_poll(queue, NULL) < 0) {
  }
}

static void touch(uint32_t from, uint32_t to) {
  for (uint32_t page = from; page < to; ++page) {
    *(uint64_t*)(region + (size_t)page * kPageSize) = page + 1;
  }
}

static uint32_t not_zero(uint32_t from, uint32_t to) {
  uint32_t dirty = 0;
  for (uint32_t page = from; page < to; ++page) {
    const uint64_t* words = (const uint64_t*)(region + (size_t)page * kPageSize);
    for (int i = 0; i < kPageSize / 8; ++i) {
      if (words[i] != 0) {
        ++dirty;
        break;
      }
    }
  }
  return dirty;
}

static void tell(struct virtqueue* queue, uint32_t from, uint32_t to) {
  while (from < to) {
    uint32_t count = 0;
    for (; from < to && count < kPagesAtOnce; ++from) {
      pfns[count++] = (uint32_t)((uintptr_t)(region + (size_t)from * kPageSize) / kPageSize);
    }
    const struct virtio_part part = {pfns, count * (uint32_t)sizeof(pfns[0]), false};
    virtqueue_add(queue, &part, 1);
    wait_for(queue);
  }
}

static void follow(uint32_t wanted) {
  if (wanted > pages) wanted = pages;
  if (wanted == actual) return;
  uint32_t dirty = 0;
  if (wanted > actual) {
    tell(inflate, actual, wanted);
  } else {
    tell(deflate, wanted, actual);
    dirty = not_zero(wanted, actual);
    touch(wanted, actual);
  }
  actual = wanted;
  *(volatile uint32_t*)(balloon->base + kRegConfig + kConfigActual) = actual;
  print("balloon");
  print_field("actual", actual);
  print_field("dirty", dirty);
  print("\n");
}

static struct {
  uint16_t tag;
  uint64_t value;
} __attribute__((packed)) numbers[kStats];

static void send_stats(void) {
  for (uint16_t tag = 0; tag < kStats; ++tag) {
    numbers[tag].tag = tag;
    numbers[tag].value = (uint64_t)(1000 + tag) * kPageSize;
  }
  const struct virtio_part part = {numbers, sizeof(numbers), false};
  virtqueue_add(stats, &part, 1);
  virtqueue_kick(stats);
}

static void report(void) {
  uint8_t* const end = region + (size_t)pages * kPageSize;
  uint32_t ranges = 0;
  for (uint8_t* at = region + (size_t)actual * kPageSize; at < end; at += kReportAtOnce, ++ranges) {
    const uint32_t size = (uint32_t)(end - at < kReportAtOnce ? end - at : kReportAtOnce);
    const struct virtio_part part = {at, size, true};
    virtqueue_add(reports, &part, 1);
    wait_for(reports);
  }
  print("reported");
  print_field("ranges", ranges);
  if (option("blind") == NULL) print_field("dirty", not_zero(actual, pages));
  print("\n");
}

static void hint(uint32_t command) {
  static uint32_t id;
  uint32_t ranges = 0;
  id = command;
  const struct virtio_part first = {&id, sizeof(id), false};
  virtqueue_add(hints, &first, 1);
  wait_for(hints);
  uint8_t* const end = region + (size_t)pages * kPageSize;
  for (uint8_t* at = region + (size_t)actual * kPageSize; at < end; at += kReportAtOnce, ++ranges) {
    const uint32_t size = (uint32_t)(end - at < kReportAtOnce ? end - at : kReportAtOnce);
    const struct virtio_part part = {at, size, true};
    virtqueue_add(hints, &part, 1);
    wait_for(hints);
  }
  id = kHintStop;
  virtqueue_add(hints, &first, 1);
  wait_for(hints);
  print("hinted");
  print_field("command", command);
  print_field("ranges", ranges);
  print("\n");
}

// Queues are numbered without those whose feature was not negotiated.
static void start(void) {
  uint64_t wanted = 0;
  if (option("stats") != NULL) wanted |= VIRTIO_BALLOON_F_STATS_VQ;
  if (option("hint") != NULL) wanted |= VIRTIO_BALLOON_F_FREE_PAGE_HINT;
  if (option("report") != NULL) wanted |= VIRTIO_BALLOON_F_REPORTING;
  balloon = virtio_find(kVirtioBalloon, 0);
  virtio_negotiate(balloon, wanted);
  if ((balloon->features & wanted) != wanted) fail("the device does not offer what was asked for");
  uint16_t number = 0;
  inflate = virtqueue_new(balloon, number++);
  deflate = virtqueue_new(balloon, number++);
  if (wanted & VIRTIO_BALLOON_F_STATS_VQ) stats = virtqueue_new(balloon, number++);
  if (wanted & VIRTIO_BALLOON_F_FREE_PAGE_HINT) hints = virtqueue_new(balloon, number++);
  if (wanted & VIRTIO_BALLOON_F_REPORTING) reports = virtqueue_new(balloon, number++);
  virtio_start(balloon);
}

static void in_ring3(void) {
  pages = (uint32_t)option_u64("mib", 64) * kPagesPerMib;
  const uint64_t limit_cycles = option_u64("cycles", ~UINT64_C(0));
  // Aligned as the host's huge pages are.
  enum { kHugePage = 2 << 20 };
  region = page_alloc((size_t)pages * kPageSize + kHugePage);
  region = (uint8_t*)(((uintptr_t)region + kHugePage - 1) & ~(uintptr_t)(kHugePage - 1));
  touch(0, pages);
  start();
  print("balloon");
  print_field("pages", pages);
  print_field("features", balloon->offered);
  print("\ngo\n");
  if (stats != NULL) send_stats();
  if (reports != NULL) report();
  uint32_t hinted = kHintStop;
  const uint64_t began = rdtsc();
  while (rdtsc() - began < limit_cycles) {
    uint32_t config[3] = {0, 0, 0};
    virtio_config(balloon, kConfigNumPages, config, hints != NULL ? 12 : 8);
    follow(config[kConfigNumPages / 4]);
    const uint32_t command = config[kConfigHintCommand / 4];
    if (hints != NULL && command != hinted) {
      hinted = command;
      if (command > kHintDone) hint(command);
    }
    if (stats != NULL && virtqueue_poll(stats, NULL) >= 0) {
      send_stats();
      print("stats sent\n");
    }
  }
  guest_exit();
}

void guest_main(void) { enter_ring3(in_ring3); }
