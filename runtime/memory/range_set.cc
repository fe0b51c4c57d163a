// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory/range_set.h"

#include <algorithm>

namespace hearth {

size_t RangeSet::FirstEndingBehind(uint64_t at) const {
  const auto found =
      std::upper_bound(ranges_.begin(), ranges_.end(), at,
                       [](uint64_t value, const Range& range) { return value < range.end; });
  return static_cast<size_t>(found - ranges_.begin());
}

void RangeSet::Add(Range range) {
  if (range.begin >= range.end) return;
  // From the first one that touches `range` to the first one that does not any more.
  const size_t first = range.begin == 0 ? 0 : FirstEndingBehind(range.begin - 1);
  size_t last = first;
  for (; last < ranges_.size() && ranges_[last].begin <= range.end; ++last) {
    range.begin = std::min(range.begin, ranges_[last].begin);
    range.end = std::max(range.end, ranges_[last].end);
  }
  const auto at = ranges_.erase(ranges_.begin() + static_cast<ptrdiff_t>(first),
                                ranges_.begin() + static_cast<ptrdiff_t>(last));
  ranges_.insert(at, range);
}

void RangeSet::Remove(Range range) {
  if (range.begin >= range.end) return;
  for (size_t i = FirstEndingBehind(range.begin);
       i < ranges_.size() && ranges_[i].begin < range.end;) {
    Range& found = ranges_[i];
    const Range rest{range.end, found.end};
    const bool keeps_head = found.begin < range.begin;
    const bool keeps_tail = rest.begin < rest.end;
    if (keeps_head) {
      found.end = range.begin;
      ++i;
      if (keeps_tail) ranges_.insert(ranges_.begin() + static_cast<ptrdiff_t>(i), rest);
    } else if (keeps_tail) {
      found.begin = range.end;
    } else {
      ranges_.erase(ranges_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    if (keeps_tail) return;  // nothing behind it overlaps
  }
}

std::optional<RangeSet::Range> RangeSet::FirstOverlap(Range range) const {
  const size_t i = FirstEndingBehind(range.begin);
  if (range.begin >= range.end || i == ranges_.size() || ranges_[i].begin >= range.end)
    return std::nullopt;
  return Range{std::max(ranges_[i].begin, range.begin), std::min(ranges_[i].end, range.end)};
}

bool RangeSet::Splits(Range range) const {
  const size_t i = FirstEndingBehind(range.begin);
  return i < ranges_.size() && ranges_[i].begin < range.begin && range.end < ranges_[i].end;
}

}  // namespace hearth
