// SPDX-License-Identifier: Apache-2.0
#include "histogram.h"

#include "virtio.h"

void histogram_init(struct histogram* histogram) {
  *histogram = (struct histogram){.least = ~UINT64_C(0)};
  histogram->buckets = page_alloc(kHistogramBuckets * sizeof(uint32_t));
}

void histogram_add(struct histogram* histogram, uint64_t cycles) {
  uint64_t bucket = cycles >> kHistogramShift;
  if (bucket >= kHistogramBuckets) bucket = kHistogramBuckets - 1;
  ++histogram->buckets[bucket];
  ++histogram->count;
  histogram->sum += cycles;
  if (cycles < histogram->least) histogram->least = cycles;
  if (cycles > histogram->most) histogram->most = cycles;
}

static uint64_t percentile(const struct histogram* histogram, uint64_t percent) {
  uint64_t left = histogram->count * percent / 100;
  for (uint64_t bucket = 0; bucket < kHistogramBuckets; ++bucket) {
    if (histogram->buckets[bucket] > left) return bucket << kHistogramShift;
    left -= histogram->buckets[bucket];
  }
  return histogram->most;
}

void histogram_print(const struct histogram* histogram) {
  print_field("count", histogram->count);
  if (histogram->count == 0) return;
  print_field("min", histogram->least);
  print_field("mean", histogram->sum / histogram->count);
  print_field("p50", percentile(histogram, 50));
  print_field("p99", percentile(histogram, 99));
  print_field("max", histogram->most);
}
