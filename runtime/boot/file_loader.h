// SPDX-License-Identifier: Apache-2.0
// LoadFileRange(): a piece of a file into guest memory, mapped where possible and read where not.
#ifndef HEARTH_RUNTIME_BOOT_FILE_LOADER_H_
#define HEARTH_RUNTIME_BOOT_FILE_LOADER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

struct LoadedBytes {
  uint64_t mapped = 0;  // shared with the page cache until somebody writes
  uint64_t copied = 0;

  LoadedBytes& operator+=(const LoadedBytes& other) {
    mapped += other.mapped;
    copied += other.copied;
    return *this;
  }
};

// Puts [offset, offset + size) of `fd` at `start`. Whole pages are mapped privately where file and
// guest agree on alignment and the memory's backing allows it; what is left at both ends, or
// everything else, is read straight into guest memory. Bytes outside [start, start + size) keep
// their values. `what` names the range in errors. Main thread, before vCPUs run. The file must not
// shrink afterwards (see GuestMemory::MapFilePrivate).
absl::StatusOr<LoadedBytes> LoadFileRange(GuestMemory& memory, absl::string_view what, int fd,
                                          uint64_t offset, uint64_t size, GuestAddress start);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_FILE_LOADER_H_
