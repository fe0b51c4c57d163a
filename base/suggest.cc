// SPDX-License-Identifier: Apache-2.0
#include "base/suggest.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace hearth::base {
namespace {

constexpr size_t kMaxBytes = 64;

// The distance of optimal string alignment: insertions, deletions, replacements and swaps of
// neighbours, each one step.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  using Row = std::array<size_t, kMaxBytes + 1>;
  Row before{};
  Row previous{};
  Row row;
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = previous;
    previous = row;
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min(
          {previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

absl::string_view Nearest(absl::string_view word, absl::Span<const absl::string_view> known) {
  absl::string_view nearest;
  if (word.size() > kMaxBytes) return nearest;
  size_t best = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const absl::string_view candidate : known) {
    if (candidate.size() > kMaxBytes) continue;
    const size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace hearth::base
