// SPDX-License-Identifier: Apache-2.0
// How long things took, in cycles: least, mean, median, 99th of a hundred, most.
#ifndef HEARTH_INTEGRATION_TESTS_GUESTS_HISTOGRAM_H_
#define HEARTH_INTEGRATION_TESTS_GUESTS_HISTOGRAM_H_

#include "guest.h"

enum { kHistogramShift = 8, kHistogramBuckets = 1 << 17 };  // exact to 256 cycles, up to 33 million

struct histogram {
  uint64_t count, sum, least, most;
  uint32_t* buckets;
};

void histogram_init(struct histogram* histogram);
void histogram_add(struct histogram* histogram, uint64_t cycles);
// " count= min= mean= p50= p99= max=".
void histogram_print(const struct histogram* histogram);

#endif  // HEARTH_INTEGRATION_TESTS_GUESTS_HISTOGRAM_H_
