// SPDX-License-Identifier: Apache-2.0
// PageSet: which pages are in the balloon, a bit each.
//
// Needed only where the host's pages are larger than the balloon's: such a page can go back to the
// host when all of it is in the balloon, and that takes several requests. The device's thread.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_PAGE_SET_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_PAGE_SET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio/balloon/page_runs.h"

namespace hearth::virtio::balloon {

class PageSet {
 public:
  // Empty; for pages [0, pages).
  explicit PageSet(uint64_t pages) : pages_(pages), words_((pages + 63) / 64) {}

  // `run` must lie inside.
  void Add(PageRun run);
  void Remove(PageRun run);
  bool ContainsAll(PageRun run) const;
  void Clear();

  // One bit a page, least significant first, without zero bytes at the end.
  std::string Save() const;
  // False, and as before, where there is a page that cannot be.
  [[nodiscard]] bool Restore(absl::string_view bits);

 private:
  const uint64_t pages_;
  std::vector<uint64_t> words_;
};

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_PAGE_SET_H_
