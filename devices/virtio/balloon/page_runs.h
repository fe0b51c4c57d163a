// SPDX-License-Identifier: Apache-2.0
// From a driver's array of page numbers to runs of pages, so that neighbours cost one system call.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_PAGE_RUNS_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_PAGE_RUNS_H_

#include <algorithm>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace hearth::virtio::balloon {

// Of 4096 bytes, whatever the guest's or the host's pages are ("Device Operation").
inline constexpr uint32_t kPageShift = 12;

struct PageRun {
  uint64_t first;
  uint64_t count;
  bool operator==(const PageRun&) const = default;
};

// Sorts `pages` in place and calls `take` for each run, in rising order; a page that is there twice
// counts once. A Linux driver's arrays often fall, or are scattered.
inline void ForEachRun(absl::Span<uint32_t> pages, absl::FunctionRef<void(PageRun)> take) {
  if (pages.empty()) return;
  std::sort(pages.begin(), pages.end());
  PageRun run{.first = pages[0], .count = 1};
  for (const uint32_t page : pages.subspan(1)) {
    const uint64_t next = run.first + run.count;
    if (page < next) continue;
    if (page == next) {
      ++run.count;
    } else {
      take(run);
      run = {.first = page, .count = 1};
    }
  }
  take(run);
}

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_PAGE_RUNS_H_
