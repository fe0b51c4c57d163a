// SPDX-License-Identifier: Apache-2.0
// net_io: drives a virtio network device, polled. Frames are UDP over IPv4, from and to the
// addresses below, `size` bytes long with their Ethernet header (64).
//   do=tx         sends until `count` frames or `cycles` of the TSC
//   do=rx         counts what comes
//   do=echo       sends back what comes, Ethernet addresses swapped
//   do=bounce     keeps `window` frames (64) on their way to somebody who sends them back
//   do=ping       one frame at a time, until its answer comes
//   flood=DEPTH   with do=ping: while so many 4 KiB reads of disk 0 are in flight
//   nic=N         which (0)
//   mrg           with mergeable receive buffers
// Prints the MAC address, "go", and at the end a line of results.
#include "disk.h"
#include "histogram.h"
#include "nic.h"

enum {
  kEthernetSize = 14,
  kHeadersSize = kEthernetSize + 20 + 8,
  kFloodBlock = 4096,
};
// After so long without an answer a frame is lost: some 20 ms.
static const uint64_t kLostCycles = 50000000;
static const uint8_t kHostMac[kMacSize] = {0x02, 0xfe, 0, 0, 0, 1};

static struct nic* nic;
static struct disk* flood;
static struct histogram round_trip;
static uint64_t limit_count, limit_cycles, start, sent, received, lost, damaged, bytes, flooded;
static uint32_t frame_size;

static bool time_left(void) { return rdtsc() - start < limit_cycles; }

// Source and destination are those of a point-to-point link: guest 10.0.0.2, host 10.0.0.1, port 9.
static void build(uint8_t* frame, uint64_t number) {
  static const uint8_t kIp[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 17,
                                0,    0, 10, 0, 0, 2, 10,   0, 0,  1};
  static const uint8_t kUdp[] = {0x10, 0, 0, 9, 0, 0, 0, 0};
  memcpy(frame, kHostMac, kMacSize);
  memcpy(frame + 6, nic->mac, kMacSize);
  frame[12] = 8;
  frame[13] = 0;
  uint8_t* ip = frame + kEthernetSize;
  memcpy(ip, kIp, sizeof(kIp));
  memcpy(ip + 20, kUdp, sizeof(kUdp));
  const uint32_t ip_size = frame_size - kEthernetSize;
  ip[2] = (uint8_t)(ip_size >> 8);
  ip[3] = (uint8_t)ip_size;
  ip[24] = (uint8_t)((ip_size - 20) >> 8);
  ip[25] = (uint8_t)(ip_size - 20);
  uint32_t sum = 0;
  for (int i = 0; i < 20; i += 2) sum += (uint32_t)ip[i] << 8 | ip[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  ip[10] = (uint8_t)(sum >> 8);
  ip[11] = (uint8_t)sum;
  for (uint32_t at = kHeadersSize; at + 8 <= frame_size; at += 8) {
    *(uint64_t*)(frame + at) = number + at;
  }
}

static bool intact(const uint8_t* frame, uint32_t size) {
  if (size != frame_size) return false;
  const uint64_t number = *(const uint64_t*)(frame + kHeadersSize) - kHeadersSize;
  for (uint32_t at = kHeadersSize; at + 8 <= frame_size; at += 8) {
    if (*(const uint64_t*)(frame + at) != number + at) return false;
  }
  return true;
}
static bool ours(const uint8_t* frame, uint32_t size) {
  return size >= kHeadersSize && frame[12] == 8 && frame[13] == 0 && frame[23] == 17;
}

// Sends while there are buffers, up to `most`.
static void send_some(uint64_t most) {
  uint8_t* frame;
  for (uint64_t i = 0; i < most && (frame = nic_new(nic)) != NULL; ++i) {
    build(frame, sent++);
    nic_send(nic, frame, frame_size);
  }
  nic_kick(nic);
}

// Takes in what has come; returns how many frames of ours.
static uint64_t take_in(void) {
  uint64_t count = 0;
  uint32_t size;
  for (uint8_t* frame; (frame = nic_receive(nic, &size)) != NULL; nic_return(nic, frame)) {
    if (!ours(frame, size)) continue;  // the host's kernel has its own to say
    damaged += !intact(frame, size);
    bytes += size;
    ++received;
    ++count;
  }
  return count;
}

static void do_tx(void) {
  uint64_t completed = 0;
  while (sent < limit_count && time_left()) {
    send_some(limit_count - sent);
    completed += nic_reap(nic);
  }
  while (completed < sent) completed += nic_reap(nic);
  bytes = sent * frame_size;
}

static void do_rx(void) {
  while (received < limit_count && time_left()) take_in();
}

static void do_echo(void) {
  while (received < limit_count && time_left()) {
    nic_reap(nic);
    uint32_t size;
    uint8_t* const in = nic_receive(nic, &size);
    if (in == NULL) continue;
    uint8_t* const out = ours(in, size) ? nic_new(nic) : NULL;
    if (out != NULL) {
      memcpy(out, in + kMacSize, kMacSize);
      memcpy(out + kMacSize, in, kMacSize);
      memcpy(out + 2 * kMacSize, in + 2 * kMacSize, size - 2 * kMacSize);
      nic_send(nic, out, size);
      nic_kick(nic);
      ++sent;
      ++received;
      bytes += size;
    }
    nic_return(nic, in);
  }
  while (nic->tx_free_count < nic->tx->size) nic_reap(nic);
}

static void do_bounce(void) {
  const uint64_t window = option_u64("window", 64);
  uint64_t on_their_way = 0, last = rdtsc();
  while (received < limit_count && time_left()) {
    nic_reap(nic);
    const uint64_t before = sent;
    send_some(window - on_their_way);
    on_their_way += sent - before;
    const uint64_t came = take_in();
    if (came > 0) {
      on_their_way -= came < on_their_way ? came : on_their_way;
      last = rdtsc();
    } else if (rdtsc() - last > kLostCycles) {
      lost += on_their_way;
      on_their_way = 0;
      last = rdtsc();
    }
  }
}

static void keep_flooding(void) {
  struct disk_request* request;
  while ((request = disk_poll(flood)) != NULL) ++flooded;
  while ((request = disk_new(flood)) != NULL) {
    const uint64_t block = rdtsc() * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    disk_submit(flood, request, kDiskRead, block % (flood->capacity / kFloodBlock) * kFloodBlock,
                kFloodBlock);
  }
  virtqueue_kick(flood->queue);
}

static void do_ping(void) {
  while (round_trip.count + lost < limit_count && time_left()) {
    nic_reap(nic);
    take_in();
    const uint64_t before = rdtsc();
    send_some(1);
    uint64_t now;
    do {
      if (flood != NULL) keep_flooding();
      now = rdtsc();
      if (now - before > kLostCycles) {
        ++lost;
        break;
      }
    } while (take_in() == 0);
    if (now - before <= kLostCycles) histogram_add(&round_trip, rdtsc() - before);
  }
}

static const struct {
  const char* name;
  void (*run)(void);
} kJobs[] = {
    {"tx", do_tx}, {"rx", do_rx}, {"echo", do_echo}, {"bounce", do_bounce}, {"ping", do_ping},
};

static void in_ring3(void) {
  char what[16];
  copy_option("do", "tx", what, sizeof(what));
  nic =
      nic_start((uint32_t)option_u64("nic", 0), option("mrg") != NULL ? VIRTIO_NET_F_MRG_RXBUF : 0);
  if (option("flood") != NULL)
    flood = disk_start(0, (uint32_t)option_u64("flood", 32), kFloodBlock);
  histogram_init(&round_trip);
  print("nic mac=");
  for (int i = 0; i < kMacSize; ++i) {
    print_bytes(&"0123456789abcdef"[nic->mac[i] >> 4], 1);
    print_bytes(&"0123456789abcdef"[nic->mac[i] & 15], 1);
  }
  print_field("features", nic->device->offered);
  print("\ngo\n");
  start = rdtsc();
  for (size_t i = 0; i < sizeof(kJobs) / sizeof(kJobs[0]); ++i) {
    if (equal(what, kJobs[i].name)) kJobs[i].run();
  }
  const uint64_t cycles = rdtsc() - start;
  print("net_io: do=");
  print(what);
  print_field("sent", sent);
  print_field("received", received);
  print_field("lost", lost);
  print_field("damaged", damaged);
  print_field("bytes", bytes);
  print_field("cycles", cycles);
  print_field("kicks", nic->tx->kicks + nic->rx->kicks);
  print_field("flooded", flooded);
  histogram_print(&round_trip);
  print("\n");
  guest_exit();
}

void guest_main(void) {
  limit_cycles = option_u64("cycles", ~UINT64_C(0));
  limit_count = option_u64("count", limit_cycles == ~UINT64_C(0) ? 1000 : ~UINT64_C(0));
  frame_size = (uint32_t)option_u64("size", 64);
  if (frame_size < kHeadersSize + 8 || frame_size > kFrameMax) fail("size is 50 to 1514");
  enter_ring3(in_ring3);
}
