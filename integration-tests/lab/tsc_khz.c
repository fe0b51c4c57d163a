// SPDX-License-Identifier: Apache-2.0
// Prints the rate of this machine's time-stamp counter in kHz. The emulator's processors show the
// same counter.
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// One sample: the time between two readings of the counter, which tell how well it is known.
static unsigned long long sample(double* when) {
  unsigned long long best_width = ~0ull, ticks = 0;
  for (int i = 0; i < 100; i++) {
    const unsigned long long before = __rdtsc();
    const double t = now();
    const unsigned long long width = __rdtsc() - before;
    if (width < best_width) {
      best_width = width;
      ticks = before + width / 2;
      *when = t;
    }
  }
  return ticks;
}

int main(void) {
  double start, end;
  const unsigned long long first = sample(&start);
  const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
  nanosleep(&pause, NULL);
  const unsigned long long last = sample(&end);
  printf("%.0f\n", (double)(last - first) / (end - start) * 1e6);
  return 0;
}
