// SPDX-License-Identifier: Apache-2.0
// hello: says what machine it is on, echoes the serial port's input if asked, and ends.
//   exit=s5|i8042|triple|hlt|loop   how it ends
//   boot_timer                      signals the boot timer before anything else (all guests do)
//   echo=N                          then sends back N bytes of input
//   flood=N                         then prints about N bytes as fast as it can
//   ticks=N                         then prints "tick I" N times, spinning in between (0: for ever)
#include "guest.h"

static void echo(uint64_t count) {
  while (count > 0) {
    if ((inb(kPortLineStatus) & 1) == 0) continue;
    outb(kPortData, inb(kPortData));
    --count;
  }
}

static void tick(uint64_t count) {
  for (uint64_t i = 0; count == 0 || i < count; ++i) {
    print("tick ");
    print_u64(i);
    print("\n");
    // Exits, so that it takes about as long on every KVM.
    for (int j = 0; j < 1000; ++j) (void)inb(kPortLineStatus);
  }
}

// 64 bytes a line, a string instruction each: much output in little time.
static void flood(uint64_t lines) {
  static const char kLine[] = "flood flood flood flood flood flood flood flood flood flood fl\n\n";
  for (; lines > 0; --lines) {
    const void* from = kLine;
    size_t count = 64;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(kPortData) : "memory");
  }
}

void guest_main(void) {
  print("Hello from a tiny guest\nprotocol: ");
  print(boot.protocol);
  print("\ncommand line: ");
  print(boot.command_line);
  print("\nmemory: ");
  print_u64(boot.memory_bytes >> 10);
  print(" KiB in ");
  print_u64(boot.memory_ranges);
  print(" ranges\n");
  if (boot.initrd_bytes > 0) {
    print("initrd: ");
    print_u64(boot.initrd_bytes);
    print(" bytes at ");
    print_hex(boot.initrd);
    print(": ");
    print_bytes((const void*)(uintptr_t)boot.initrd,
                boot.initrd_bytes < 16 ? boot.initrd_bytes : 16);
    print("\n");
  }
  if (option("echo") != NULL) echo(option_u64("echo", 1));
  flood(option_u64("flood", 0) / 64);
  if (option("ticks") != NULL) tick(option_u64("ticks", 0));
  print("bye\n");
}
