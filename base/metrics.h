// SPDX-License-Identifier: Apache-2.0
// Counter: a number that one thread adds to and any thread reads. Costs one plain add.
#ifndef HEARTH_BASE_METRICS_H_
#define HEARTH_BASE_METRICS_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace hearth::base {

class Counter {
 public:
  // The owner's thread.
  void Add(uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  // Any thread.
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Gets each metric of an object: its name, such as "read_bytes", and its value.
using MetricVisitor = absl::FunctionRef<void(absl::string_view name, uint64_t value)>;

}  // namespace hearth::base

#endif  // HEARTH_BASE_METRICS_H_
