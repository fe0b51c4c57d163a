// SPDX-License-Identifier: Apache-2.0
// The initial RAM disk: placed, and mapped from its file.
#ifndef HEARTH_RUNTIME_BOOT_INITRD_H_
#define HEARTH_RUNTIME_BOOT_INITRD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/boot/file_loader.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

struct Initrd {
  GuestAddress start;       // page-aligned
  uint64_t size_bytes = 0;  // 0: none
  LoadedBytes loaded;
};

// What a kernel whose header does not tell takes: addresses up to 2 GiB (the protocol's default,
// initrd_addr_max).
inline constexpr uint64_t kDefaultInitrdMax = 0x7fffffff;

// Loads the file at `path` as high as possible in RAM below the MMIO hole, with its last byte at
// `address_max` or below and its first at `kernel_end` or above. Mapped from the page cache where
// the memory allows it. Main thread, before vCPUs run; the file must not shrink while the VM lives.
// Errors name initrd_path.
absl::StatusOr<Initrd> LoadInitrd(GuestMemory& memory, const std::string& path,
                                  GuestAddress kernel_end, uint64_t address_max);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_INITRD_H_
