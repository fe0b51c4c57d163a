// SPDX-License-Identifier: Apache-2.0
// lab-profile COMMAND [ARGUMENT]...: runs the command and samples the CPU every 20 microseconds, in the host
// and in the guests that run on it. Prints on standard error:
//   samples host-user N host-kernel N guest-kernel N guest-user N
//   ip MODE ADDRESS COUNT      one line an address, for the kernels
// Under --icount a sample stands for 20000 instructions. Needs one CPU.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kPages = 4096, kPeriodNs = 20000 };

struct Sample {
  struct perf_event_header header;
  uint64_t ip;
};

static int ByIp(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return x < y ? -1 : x > y;
}

static uint64_t* ips[8];
static size_t counts[8];

static void Print(const char* name, int mode) {
  qsort(ips[mode], counts[mode], sizeof(uint64_t), ByIp);
  for (size_t i = 0; i < counts[mode];) {
    size_t same = i;
    while (same < counts[mode] && ips[mode][same] == ips[mode][i]) ++same;
    fprintf(stderr, "ip %s %llx %zu\n", name, (unsigned long long)ips[mode][i], same - i);
    i = same;
  }
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: lab-profile COMMAND [ARGUMENT]...\n");
    return 2;
  }
  struct perf_event_attr attr = {
      .type = PERF_TYPE_SOFTWARE,
      .size = sizeof(attr),
      .config = PERF_COUNT_SW_CPU_CLOCK,
      .sample_period = kPeriodNs,
      .sample_type = PERF_SAMPLE_IP,
      .disabled = 1,
      .exclude_idle = 1,
  };
  int event = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0);
  if (event < 0) {
    fprintf(stderr, "lab-profile: perf_event_open cpu-clock: %s\n", strerror(errno));
    return 1;
  }
  size_t data_size = (size_t)kPages * 4096;
  struct perf_event_mmap_page* page = mmap(NULL, data_size + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
  if (page == MAP_FAILED) {
    fprintf(stderr, "lab-profile: mmap of the event's buffer: %s\n", strerror(errno));
    return 1;
  }
  ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
  pid_t child = fork();
  if (child == 0) {
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ioctl(event, PERF_EVENT_IOC_DISABLE, 0);

  // The buffer is large enough for 5 s of samples; later ones would be dropped, not wrapped.
  uint64_t end = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
  const char* data = (const char*)page + page->data_offset;
  for (int i = 0; i < 8; ++i) ips[i] = malloc(sizeof(uint64_t) * (end / sizeof(struct Sample) + 1));
  for (uint64_t at = 0; at < end;) {
    const struct perf_event_header* header = (const struct perf_event_header*)(data + at);
    int mode = header->misc & PERF_RECORD_MISC_CPUMODE_MASK;
    if (header->type == PERF_RECORD_SAMPLE && mode < 8)
      ips[mode][counts[mode]++] = ((const struct Sample*)header)->ip;
    if (header->size == 0) break;
    at += header->size;
  }
  fprintf(stderr, "samples host-user %zu host-kernel %zu guest-kernel %zu guest-user %zu\n",
          counts[PERF_RECORD_MISC_USER], counts[PERF_RECORD_MISC_KERNEL], counts[PERF_RECORD_MISC_GUEST_KERNEL],
          counts[PERF_RECORD_MISC_GUEST_USER]);
  Print("host-kernel", PERF_RECORD_MISC_KERNEL);
  Print("guest-kernel", PERF_RECORD_MISC_GUEST_KERNEL);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
