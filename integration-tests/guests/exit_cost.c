// SPDX-License-Identifier: Apache-2.0
// exit_cost: what a round trip out of the guest costs, from ring 0 and from ring 3.
//   rounds=N      of each kind (1000)
//   tsc_khz=N     the time stamp counter's frequency, where CPUID does not say it
// Prints a table "ring kind min-cycles mean-cycles mean-ns" (0 ns: frequency unknown).
#include "guest.h"

static uint64_t rounds, tsc_khz;

static void nothing(void) {}
static void port_in(void) { (void)inb(kPortLineStatus); }
static void port_out(void) { outb(0x80, 0); }
static void mmio_read(void) { (void)*(volatile uint32_t*)(uintptr_t)kBootTimerMmio; }
static void mmio_write(void) { *(volatile uint32_t*)(uintptr_t)kBootTimerMmio = 0; }
static void do_cpuid(void) {
  uint32_t regs[4];
  cpuid(0, regs);
}

static const struct {
  const char* name;
  void (*run)(void);
} kKinds[] = {
    {"empty      ", nothing},   {"port-in    ", port_in},    {"port-out   ", port_out},
    {"mmio-read  ", mmio_read}, {"mmio-write ", mmio_write}, {"cpuid      ", do_cpuid},
};

static void measure(const char* ring) {
  for (size_t kind = 0; kind < sizeof(kKinds) / sizeof(kKinds[0]); ++kind) {
    uint64_t least = ~UINT64_C(0);
    const uint64_t start = rdtsc();
    for (uint64_t i = 0; i < rounds; ++i) {
      const uint64_t before = rdtsc();
      kKinds[kind].run();
      const uint64_t cycles = rdtsc() - before;
      if (cycles < least) least = cycles;
    }
    const uint64_t mean = (rdtsc() - start) / rounds;
    print(ring);
    print(kKinds[kind].name);
    print_column(least, 12);
    print_column(mean, 12);
    print_column(tsc_khz > 0 ? mean * 1000000 / tsc_khz : 0, 12);
    print("\n");
  }
}

static void in_ring3(void) {
  measure("3    ");
  print("done\n");
  guest_exit();
}

// CPUID's own leaf, then the one that hypervisors have.
static uint64_t find_tsc_khz(void) {
  uint32_t regs[4];
  cpuid(0, regs);
  if (regs[0] >= 0x15) {
    cpuid(0x15, regs);
    if (regs[0] > 0 && regs[1] > 0 && regs[2] > 0) {
      return (uint64_t)regs[2] * regs[1] / regs[0] / 1000;
    }
  }
  cpuid(0x40000000, regs);
  if (regs[0] >= 0x40000010 && regs[0] < 0x40010000) {
    cpuid(0x40000010, regs);
    return regs[0];
  }
  return 0;
}

void guest_main(void) {
  rounds = option_u64("rounds", 1000);
  tsc_khz = option_u64("tsc_khz", 0);
  if (tsc_khz == 0) tsc_khz = find_tsc_khz();
  print("tsc_khz ");
  print_u64(tsc_khz);
  print("\nring kind        min-cycles mean-cycles     mean-ns\n");
  measure("0    ");
  enter_ring3(in_ring3);
}
