// SPDX-License-Identifier: Apache-2.0
// hostile: does to its VMM what no driver does. The VMM and its other controls must not mind.
//   do=ports|mmio|triple|hlt|all   (all: ports and mmio, then the end that exit= says)
//   seed=N                         of the random values
#include "guest.h"

static uint64_t state;

static uint32_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16);
}

// Writes that would end the guest before it is done: the reset pulse and power-off.
static bool ends_the_guest(uint16_t port, uint8_t value) {
  if (port == kPortI8042Command) return value >= 0xf0 || value == 0xd1;
  if (port == kPortSleepControl) return (value & 0x3c) == kSleepS5;
  return false;
}

// The serial port would print what is written to it.
static bool prints(uint16_t port) { return port == kPortData; }

static void hit_port(uint16_t port) {
  static uint8_t buffer[4096];
  (void)inb(port);
  (void)inw(port);
  (void)inl(port);
  const uint32_t values[] = {0, 0xffffffff, 0x55555555, next_random()};
  for (size_t i = 0; i < 4; ++i) {
    if (ends_the_guest(port, (uint8_t)values[i])) continue;
    if (!prints(port)) outb(port, (uint8_t)values[i]);
    outw(port, (uint16_t)values[i]);
    outl(port, values[i]);
  }
  // String I/O of each size: one exit may carry many accesses.
  void* to = buffer;
  size_t count = 300;
  __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
  to = buffer;
  count = 1024;
  __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
  for (size_t i = 0; i < sizeof(buffer); ++i) buffer[i] = 0;
  const void* from = buffer;
  count = 64;
  if (!prints(port)) {
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
  }
  from = buffer;
  count = 300;
  __asm__ volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void hit_ports(void) {
  static const struct {
    uint16_t first, last;
  } kRanges[] = {
      {0x5f, 0x65}, {0x3ef, 0x400}, {0x5ff, 0x603}, {0xcf8, 0xcff}, {0x80, 0x80}, {0xfffc, 0xffff},
  };
  for (size_t range = 0; range < sizeof(kRanges) / sizeof(kRanges[0]); ++range) {
    for (uint32_t port = kRanges[range].first; port <= kRanges[range].last; ++port) {
      hit_port((uint16_t)port);
    }
  }
  // Every value into each device, in random order of registers.
  for (int i = 0; i < 500; ++i) {
    const uint32_t random = next_random();
    const uint8_t value = (uint8_t)(random >> 8);
    static const uint16_t kBases[] = {0x60, 0x3f8, 0x600, 0x3f0};
    const uint16_t port = kBases[random & 3] + ((random >> 4) & 7);
    if (ends_the_guest(port, value) || port == kPortI8042Data || prints(port)) continue;
    outb(port, value);
    (void)inb(port);
  }
  // Leave the serial port as print() needs it.
  outb(kPortData + 1, 0);
  outb(kPortData + 4, 0);
  outb(kPortData + 3, 3);
  print("hostile: ports done\n");
}

static void hit_address(uint64_t address) {
  volatile uint8_t* const p8 = (volatile uint8_t*)(uintptr_t)address;
  (void)*p8;
  (void)*(volatile uint16_t*)p8;
  (void)*(volatile uint32_t*)p8;
  (void)*(volatile uint64_t*)p8;
  *p8 = (uint8_t)next_random();
  *(volatile uint16_t*)p8 = (uint16_t)next_random();
  *(volatile uint32_t*)p8 = next_random();
  *(volatile uint64_t*)p8 = next_random();
}

static void hit_mmio(void) {
  // The hole below 4 GiB: nothing, device slots and their edges, unaligned too; not the interrupt
  // controllers.
  static const uint64_t kPlaces[] = {0xd0000000, 0xd0000ffc, 0xd0000fff, 0xd0001000,
                                     0xd00010fc, 0xd0001ffd, 0xd0002000, 0xd0002fff,
                                     0xd8000000, 0xe0000000, 0xeffffff8, 0xfdfffff9};
  for (size_t i = 0; i < sizeof(kPlaces) / sizeof(kPlaces[0]); ++i) hit_address(kPlaces[i]);
  for (int i = 0; i < 100; ++i) hit_address(0xd0000000 + next_random() % 0x8000);
  print("hostile: mmio done\n");
}

void guest_main(void) {
  state = option_u64("seed", 88172645463325252) | 1;
  char what[16] = "all";
  const char* asked = option("do");
  for (size_t i = 0; asked != NULL && i < sizeof(what) - 1; ++i) {
    what[i] = asked[i];
    if (asked[i] == '\0') break;
  }
  print("hostile: ");
  print(what);
  print("\n");
  if (equal(what, "ports") || equal(what, "all")) hit_ports();
  if (equal(what, "mmio") || equal(what, "all")) hit_mmio();
  if (equal(what, "triple")) triple_fault();
  if (equal(what, "hlt")) {
    for (;;) __asm__ volatile("cli\n\thlt");
  }
}
