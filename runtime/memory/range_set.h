// SPDX-License-Identifier: Apache-2.0
// RangeSet: disjoint ranges of numbers, in order. Few of them: searched by halves, kept in a
// vector. Not thread-safe.
#ifndef HEARTH_RUNTIME_MEMORY_RANGE_SET_H_
#define HEARTH_RUNTIME_MEMORY_RANGE_SET_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hearth {

class RangeSet {
 public:
  struct Range {
    uint64_t begin;
    uint64_t end;  // behind the last
    bool operator==(const Range&) const = default;
  };

  // Adds what is not there yet; ranges that touch become one. An empty range is nothing.
  void Add(Range range);
  // Takes away what is there of `range`. Grows the set by one where a range falls into two.
  void Remove(Range range);
  // The first part of `range` that is in the set.
  std::optional<Range> FirstOverlap(Range range) const;
  // Is `range` inside one range of the set, with something left of it on both sides?
  bool Splits(Range range) const;

  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  // Index of the first range that ends behind `at`.
  size_t FirstEndingBehind(uint64_t at) const;

  std::vector<Range> ranges_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_MEMORY_RANGE_SET_H_
