// SPDX-License-Identifier: Apache-2.0
#include "guest.h"

struct boot_info boot;

// gcc may call these for copies that it finds by itself.
void* memcpy(void* to, const void* from, size_t size) {
  void* const start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return start;
}
void* memset(void* to, int value, size_t size) {
  void* const start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return start;
}

void print_bytes(const void* data, size_t size) {
  for (const uint8_t* byte = data; size > 0; --size) outb(kPortData, *byte++);
}

void print(const char* text) {
  while (*text != '\0') outb(kPortData, (uint8_t)*text++);
}

static void print_base(uint64_t value, unsigned base, int width) {
  char digits[24];
  char* at = digits + sizeof(digits) - 1;
  *at = '\0';
  do {
    *--at = "0123456789abcdef"[value % base];
    value /= base;
  } while (value > 0);
  for (int i = (int)(digits + sizeof(digits) - 1 - at); i < width; ++i) outb(kPortData, ' ');
  print(at);
}

void print_u64(uint64_t value) { print_base(value, 10, 0); }
void print_column(uint64_t value, int width) { print_base(value, 10, width); }
void print_hex(uint64_t value) {
  print("0x");
  print_base(value, 16, 0);
}

bool equal(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '\0') return true;
  }
  return false;
}

const char* option(const char* key) {
  static char value[64];
  const char* at = boot.command_line;
  while (*at != '\0') {
    while (*at == ' ') ++at;
    const char* k = key;
    while (*k != '\0' && *at == *k) ++at, ++k;
    if (*k == '\0' && (*at == '=' || *at == ' ' || *at == '\0')) {
      if (*at == '=') ++at;
      size_t size = 0;
      while (*at != ' ' && *at != '\0' && size < sizeof(value) - 1) value[size++] = *at++;
      value[size] = '\0';
      return value;
    }
    while (*at != ' ' && *at != '\0') ++at;
  }
  return NULL;
}

uint64_t option_u64(const char* key, uint64_t otherwise) {
  const char* at = option(key);
  if (at == NULL || *at == '\0') return otherwise;
  const bool hex = at[0] == '0' && at[1] == 'x';
  uint64_t value = 0;
  for (at += hex ? 2 : 0; *at != '\0'; ++at) {
    const char c = *at;
    const unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
    value = value * (hex ? 16 : 10) + digit;
  }
  return value;
}

void triple_fault(void) {
  // Without an interrupt table the first exception becomes a double and then a triple fault.
  static const struct {
    uint16_t limit;
    uint64_t base;
  } __attribute__((packed)) kNoTable = {0, 0};
  __asm__ volatile("lidt %0\n\tud2" : : "m"(kNoTable));
  __builtin_unreachable();
}

void guest_exit(void) {
  const char* how = option("exit");
  if (how != NULL && equal(how, "i8042")) outb(kPortI8042Command, kI8042Reset);
  if (how != NULL && equal(how, "triple")) triple_fault();
  if (how != NULL && equal(how, "loop")) {
    for (;;) __asm__ volatile("pause");
  }
  if (how == NULL || equal(how, "s5")) outb(kPortSleepControl, kSleepS5);
  for (;;) __asm__ volatile("hlt");
}

// struct boot_params of the Linux boot protocol, by offset.
static void read_boot_params(const uint8_t* zero_page) {
  boot.protocol = "linux64";
  boot.command_line =
      (const char*)(uintptr_t)(*(const uint32_t*)(zero_page + 0x228) |
                               (uint64_t) * (const uint32_t*)(zero_page + 0xc8) << 32);
  boot.initrd = *(const uint32_t*)(zero_page + 0x218) |
                (uint64_t) * (const uint32_t*)(zero_page + 0xc0) << 32;
  boot.initrd_bytes = *(const uint32_t*)(zero_page + 0x21c) |
                      (uint64_t) * (const uint32_t*)(zero_page + 0xc4) << 32;
  boot.rsdp = *(const uint64_t*)(zero_page + 0x70);
  const uint8_t* entry = zero_page + 0x2d0;
  boot.memory_ranges = zero_page[0x1e8];
  for (uint32_t i = 0; i < boot.memory_ranges; ++i, entry += 20) {
    if (*(const uint32_t*)(entry + 16) == 1) boot.memory_bytes += *(const uint64_t*)(entry + 8);
  }
}

// struct hvm_start_info of the PVH boot ABI, by offset.
static void read_start_info(const uint8_t* info) {
  boot.protocol = "pvh";
  boot.command_line = (const char*)(uintptr_t) * (const uint64_t*)(info + 24);
  boot.rsdp = *(const uint64_t*)(info + 32);
  if (*(const uint32_t*)(info + 12) > 0) {
    const uint64_t* module = (const uint64_t*)(uintptr_t) * (const uint64_t*)(info + 16);
    boot.initrd = module[0];
    boot.initrd_bytes = module[1];
  }
  if (*(const uint32_t*)(info + 4) < 1) return;  // version 0 has no memory map
  const uint8_t* entry = (const uint8_t*)(uintptr_t) * (const uint64_t*)(info + 40);
  boot.memory_ranges = *(const uint32_t*)(info + 48);
  for (uint32_t i = 0; i < boot.memory_ranges; ++i, entry += 24) {
    if (*(const uint32_t*)(entry + 16) == 1) boot.memory_bytes += *(const uint64_t*)(entry + 8);
  }
}

void guest_start(int protocol, const uint8_t* info) {
  if (protocol == 0) {
    read_boot_params(info);
  } else {
    read_start_info(info);
  }
  if (boot.command_line == NULL) boot.command_line = "";
  if (option("boot_timer") != NULL) outb(kPortBootTimer, kBooted);
  guest_main();
  guest_exit();
}
