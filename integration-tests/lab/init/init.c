// SPDX-License-Identifier: Apache-2.0
// The first process of our test guests. It greets from user space, tells the VMM that the boot is
// done, and then ends the machine the way the kernel's command line asks:
//   hearth.exit=poweroff|reboot|halt|triple|shell|idle   (default: shell if there is one, else poweroff)
//   hearth.boot_timer          write 123 to I/O port 0x3f0 before the greeting
//   hearth.dmesg               print the kernel's log after the greeting
//   hearth.boot_timer=0xADDR   write it to that physical address instead (Firecracker's MMIO device)
// Freestanding, no C library: a few KiB, no relocation and no start-up work that would count as boot.

typedef unsigned long ulong;

// System calls of x86-64, from <asm/unistd_64.h>.
enum {
  kRead = 0, kWrite = 1, kOpen = 2, kClose = 3, kMmap = 9, kIoctl = 16, kDup2 = 33, kPause = 34,
  kGetpid = 39, kFork = 57, kExecve = 59, kExit = 60, kWait4 = 61, kUname = 63, kSysinfo = 99, kSyslog = 103, kSetsid = 112, kMount = 165,
  kReboot = 169, kIopl = 172, kSchedGetaffinity = 204,
};

static long Syscall(long number, ulong a, ulong b, ulong c, ulong d, ulong e, ulong f) {
  long result;
  register ulong r10 __asm__("r10") = d;
  register ulong r8 __asm__("r8") = e;
  register ulong r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define CALL1(n, a) Syscall(n, (ulong)(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b) Syscall(n, (ulong)(a), (ulong)(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c) Syscall(n, (ulong)(a), (ulong)(b), (ulong)(c), 0, 0, 0)

// The compiler may call it for initializers.
void* memset(void* to, int byte, ulong count) {
  for (ulong i = 0; i < count; ++i) ((volatile char*)to)[i] = (char)byte;
  return to;
}

static char out[512];
static ulong out_size;

static void Put(const char* text) {
  while (*text && out_size < sizeof(out)) out[out_size++] = *text++;
}

static void PutNumber(ulong value) {
  char digits[21];
  int at = sizeof(digits) - 1;
  digits[at] = 0;
  do digits[--at] = (char)('0' + value % 10);
  while (value /= 10);
  Put(digits + at);
}

static void Flush(void) {
  CALL3(kWrite, 1, out, out_size);
  out_size = 0;
}

static char command_line[4096];

// The value of `name` on the command line: what follows "name=", "" for a bare "name", 0 if absent.
static const char* Argument(const char* name) {
  for (const char* at = command_line; *at;) {
    const char* n = name;
    while (*n && *at == *n) ++at, ++n;
    if (!*n && (*at == '=' || *at == ' ' || *at == '\n' || !*at)) return *at == '=' ? at + 1 : "";
    while (*at && *at != ' ') ++at;
    while (*at == ' ') ++at;
  }
  return 0;
}

static int ValueIs(const char* value, const char* wanted) {
  while (*wanted && *value == *wanted) ++value, ++wanted;
  return !*wanted && (*value == ' ' || *value == '\n' || !*value);
}

static ulong ParseHex(const char* text) {
  ulong value = 0;
  if (text[0] == '0' && (text[1] | 32) == 'x') text += 2;
  for (;; ++text) {
    char c = (char)(*text | 32);
    if (*text >= '0' && *text <= '9') value = value * 16 + (ulong)(*text - '0');
    else if (c >= 'a' && c <= 'f') value = value * 16 + (ulong)(c - 'a' + 10);
    else return value;
  }
}

static void SignalBootTimer(const char* where) {
  const unsigned char done = 123;
  if (*where != '0') {
    if (CALL1(kIopl, 3) == 0) __asm__ volatile("outb %0, %1" : : "a"(done), "Nd"((unsigned short)0x3f0));
    return;
  }
  ulong address = ParseHex(where);
  long memory = CALL2(kOpen, "/dev/mem", 02 | 04010000);  // O_RDWR | O_SYNC
  if (memory < 0) return;
  // PROT_READ | PROT_WRITE, MAP_SHARED
  long page = Syscall(kMmap, 0, 4096, 3, 1, (ulong)memory, address & ~4095ul);
  if (page > 0) *(volatile unsigned char*)(page + (long)(address & 4095)) = done;
  CALL1(kClose, memory);
}

static void Greet(void) {
  struct { char sysname[65], nodename[65], release[65], version[65], machine[65], domain[65]; } uts = {0};
  struct {
    long uptime;
    ulong loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    unsigned short procs, pad;
    ulong totalhigh, freehigh;
    unsigned int unit;
    char padding[64];
  } info = {0};
  ulong mask[16] = {0};
  ulong cpus = 0;
  CALL1(kUname, &uts);
  CALL1(kSysinfo, &info);
  long bytes = CALL3(kSchedGetaffinity, 0, sizeof(mask), mask);
  for (long i = 0; i * 8 < bytes; ++i)
    for (ulong bits = mask[i]; bits; bits &= bits - 1) ++cpus;
  Put("Hello from user space on Linux ");
  Put(uts.release);
  Put(", ");
  PutNumber(cpus);
  Put(cpus == 1 ? " CPU, " : " CPUs, ");
  PutNumber((info.totalram * info.unit) >> 20);
  Put(" MiB\n");
  Flush();
}

// The log as it is, with the kernel's time stamps: a boot can be looked into without a talking console,
// whose every character costs thousands of instructions.
static void PrintLog(void) {
  static char log[1 << 18];
  long size = CALL3(kSyslog, 3, log, sizeof(log));  // SYSLOG_ACTION_READ_ALL
  for (long at = 0; at < size;) {
    long written = CALL3(kWrite, 1, log + at, size - at);
    if (written <= 0) return;
    at += written;
  }
}

static void Reboot(ulong how) {
  Syscall(kReboot, 0xfee1dead, 672274793, how, 0, 0, 0);
}

static void RunShell(void) {
  static char* const argv[] = {"sh", "-l", 0};
  static char* const env[] = {"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root", "TERM=linux", "PS1=guest# ", 0};
  long child = Syscall(kFork, 0, 0, 0, 0, 0, 0);
  if (child == 0) {
    // A session with a controlling terminal, so that Ctrl-C works. /dev/console cannot be one.
    Syscall(kSetsid, 0, 0, 0, 0, 0, 0);
    long tty = CALL2(kOpen, "/dev/ttyS0", 2);
    if (tty >= 0) {
      for (int fd = 0; fd < 3; ++fd) CALL2(kDup2, tty, fd);
      CALL3(kIoctl, 0, 0x540e, 1);  // TIOCSCTTY
    }
    CALL3(kExecve, "/bin/sh", argv, env);
    Put("init: cannot run /bin/sh\n");
    Flush();
    for (;;) Syscall(kPause, 0, 0, 0, 0, 0, 0);
  }
  // Reaps orphans until the shell itself ends.
  while (Syscall(kWait4, ~0ul, 0, 0, 0, 0, 0) != child) {
  }
}

static int Exists(const char* path) {
  long fd = CALL2(kOpen, path, 0);
  if (fd < 0) return 0;
  CALL1(kClose, fd);
  return 1;
}

static void WriteFile(const char* path, const char* text, ulong size) {
  long fd = CALL2(kOpen, path, 1);
  if (fd < 0) return;
  CALL3(kWrite, fd, text, size);
  CALL1(kClose, fd);
}

__attribute__((noreturn, used)) static void Main(void) {
  if (Syscall(kGetpid, 0, 0, 0, 0, 0, 0) != 1) {
    Put("init: this is a guest's first process; it does not run on a host\n");
    Flush();
    for (;;) CALL1(kExit, 2);
  }
  // The kernel opened /dev/console for us if the initrd has it; if only devtmpfs does, mount that.
  if (CALL3(kIoctl, 1, 0x5401, command_line) < 0) {  // TCGETS: is there a terminal?
    Syscall(kMount, (ulong) "devtmpfs", (ulong) "/dev", (ulong) "devtmpfs", 0, 0, 0);
    long console = CALL2(kOpen, "/dev/console", 2);
    for (int fd = 0; console >= 0 && fd < 3; ++fd)
      if (fd != console) CALL2(kDup2, console, fd);
  }
  Syscall(kMount, (ulong) "proc", (ulong) "/proc", (ulong) "proc", 0, 0, 0);
  memset(command_line, 0, sizeof(command_line));
  long fd = CALL2(kOpen, "/proc/cmdline", 0);
  if (fd >= 0) {
    CALL3(kRead, fd, command_line, sizeof(command_line) - 1);
    CALL1(kClose, fd);
  }

  const char* timer = Argument("hearth.boot_timer");
  if (timer) SignalBootTimer(timer);
  Greet();
  if (Argument("hearth.dmesg")) PrintLog();

  const char* how = Argument("hearth.exit");
  if (!how) how = Exists("/bin/sh") ? "shell" : "poweroff";
  if (ValueIs(how, "shell") || ValueIs(how, "triple"))
    Syscall(kMount, (ulong) "sysfs", (ulong) "/sys", (ulong) "sysfs", 0, 0, 0);
  if (ValueIs(how, "shell")) {
    Syscall(kMount, (ulong) "devtmpfs", (ulong) "/dev", (ulong) "devtmpfs", 0, 0, 0);
    RunShell();
    how = "poweroff";
  }
  if (ValueIs(how, "triple")) {
    // The kernel then loads an empty IDT and faults: the CPU shuts down.
    WriteFile("/sys/kernel/reboot/type", "triple", 6);
    how = "reboot";
  }
  if (ValueIs(how, "reboot")) Reboot(0x01234567);
  if (ValueIs(how, "halt")) Reboot(0xcdef0123);
  if (!ValueIs(how, "idle")) {
    Reboot(0x4321fedc);  // power off
    // Without ACPI there is no power switch and the call has halted this CPU; it does not get here.
  }
  for (;;) Syscall(kPause, 0, 0, 0, 0, 0, 0);
}

// The ABI wants the stack aligned to 16 at a call; the kernel starts us so.
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  call Main\n");
