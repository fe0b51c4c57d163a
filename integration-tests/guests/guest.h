// SPDX-License-Identifier: Apache-2.0
// What the tiny guests share. A guest defines guest_main(), gets what the VMM told about the
// machine, and ends with guest_exit() or by returning (which is the same). There is no libc and no
// exception handler: a fault is a triple fault.
#ifndef HEARTH_INTEGRATION_TESTS_GUESTS_GUEST_H_
#define HEARTH_INTEGRATION_TESTS_GUESTS_GUEST_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  kPortData = 0x3f8,
  kPortLineStatus = 0x3fd,
  kPortBootTimer = 0x3f0,
  kPortI8042Data = 0x60,
  kPortI8042Command = 0x64,
  kPortSleepControl = 0x600,
  kBootTimerMmio = 0xd0000000,
  kBooted = 123,
  kI8042Reset = 0xfe,
  kSleepS5 = 0x34,
};

struct boot_info {
  const char* protocol;  // "linux64" or "pvh"
  const char* command_line;
  uint64_t memory_bytes;  // usable, by the memory map
  uint32_t memory_ranges;
  uint64_t initrd;
  uint64_t initrd_bytes;
  uint64_t rsdp;  // 0 if the VMM does not say
};

extern struct boot_info boot;

void guest_main(void);

void* memcpy(void* to, const void* from, size_t size);
void* memset(void* to, int value, size_t size);

// By the command line's exit=s5 (the default), i8042, triple, hlt or loop.
__attribute__((noreturn)) void guest_exit(void);
__attribute__((noreturn)) void triple_fault(void);
__attribute__((noreturn)) void enter_ring3(void (*function)(void));

// The value of the word "key=value" of the command line, "" for the word "key" alone, NULL without
// it. Valid until the next call.
const char* option(const char* key);
// The same as a number (decimal or 0x...), with a default.
uint64_t option_u64(const char* key, uint64_t otherwise);
bool equal(const char* a, const char* b);

// To the serial port.
void print(const char* text);
void print_bytes(const void* data, size_t size);
void print_u64(uint64_t value);
void print_hex(uint64_t value);
// Right-aligned.
void print_column(uint64_t value, int width);

// Processors by the MADT, or by the MP table where there is no ACPI; their APIC ids in `apic_ids`.
uint32_t find_processors(uint32_t* apic_ids, uint32_t max);

static inline void outb(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void outw(uint16_t port, uint16_t value) {
  __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void outl(uint16_t port, uint32_t value) {
  __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
static inline uint16_t inw(uint16_t port) {
  uint16_t value;
  __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
static inline uint32_t inl(uint16_t port) {
  uint32_t value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
static inline uint64_t rdtsc(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (uint64_t)high << 32 | low;
}
static inline uint64_t rdmsr(uint32_t msr) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return (uint64_t)high << 32 | low;
}
static inline void wrmsr(uint32_t msr, uint64_t value) {
  __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}
static inline void cpuid(uint32_t leaf, uint32_t out[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                   : "a"(leaf), "c"(0));
}

#endif  // HEARTH_INTEGRATION_TESTS_GUESTS_GUEST_H_
