// SPDX-License-Identifier: Apache-2.0
// smp: starts every processor that the firmware tables name by INIT, SIPI, SIPI; each counts
// itself. The IPIs go to all others at once: one KVM with two processors loses an INIT that names
// its destination.
//   noacpi        by the MP table instead of the MADT
//   work=N        each processor then makes N port exits, all at the same time (100)
// Prints "smp: UP of ALL processors are up".
#include "guest.h"

enum {
  kMaxProcessors = 64,
  kTrampoline = 0x10000,
  kApicIcr = 0xfee00300,
  kMsrApicBase = 0x1b,
  kMsrX2ApicIcr = 0x830,
};
#define APIC_BASE_X2APIC 0x400
#define ICR_OTHERS 0xc0000  // all but self
#define ICR_INIT 0x4500     // assert
#define ICR_STARTUP 0x4600
#define ICR_PENDING 0x1000

extern const uint8_t trampoline[], trampoline_end[];

static volatile uint32_t processors_up, processors_done, go;
static uint64_t work;
static bool x2apic;

static void apic_send(uint32_t command) {
  if (x2apic) {
    wrmsr(kMsrX2ApicIcr, command);
    return;
  }
  volatile uint32_t* const icr = (volatile uint32_t*)(uintptr_t)kApicIcr;
  *icr = command;
  while ((*icr & ICR_PENDING) != 0) __asm__ volatile("pause");
}

// Exits take microseconds on every KVM: our clock.
static void exits(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) (void)inb(kPortLineStatus);
}

void ap_main(uint32_t index) {
  (void)index;
  __atomic_fetch_add(&processors_up, 1, __ATOMIC_SEQ_CST);
  while (go == 0) __asm__ volatile("pause");
  exits(work);
  __atomic_fetch_add(&processors_done, 1, __ATOMIC_SEQ_CST);
}

// Until `count` reaches `wanted` or `limit` exits have passed.
static void wait_for(const volatile uint32_t* count, uint32_t wanted, uint64_t limit) {
  for (uint64_t i = 0; i < limit && *count < wanted; ++i) exits(1);
}

void guest_main(void) {
  static uint32_t apic_ids[kMaxProcessors];
  work = option_u64("work", 100);
  const uint32_t count = find_processors(apic_ids, kMaxProcessors);
  x2apic = (rdmsr(kMsrApicBase) & APIC_BASE_X2APIC) != 0;

  uint8_t* to = (uint8_t*)(uintptr_t)kTrampoline;
  for (const uint8_t* from = trampoline; from < trampoline_end; ++from) *to++ = *from;

  apic_send(ICR_OTHERS | ICR_INIT);
  exits(20);
  apic_send(ICR_OTHERS | ICR_STARTUP | kTrampoline >> 12);
  wait_for(&processors_up, count - 1, 2000);
  // The specification's second one, for a processor that was not ready for the first.
  if (processors_up < count - 1) apic_send(ICR_OTHERS | ICR_STARTUP | kTrampoline >> 12);
  wait_for(&processors_up, count - 1, 20000);
  go = 1;
  exits(work);
  wait_for(&processors_done, processors_up, 100000);
  print("smp: ");
  print_u64(processors_up + 1);
  print(" of ");
  print_u64(count);
  print(" processors are up, ");
  print_u64(processors_done + 1);
  print(" have worked\n");
}
