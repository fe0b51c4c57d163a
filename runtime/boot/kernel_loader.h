// SPDX-License-Identifier: Apache-2.0
// LoadKernel(): a kernel file of any kind that we know, into guest memory.
#ifndef HEARTH_RUNTIME_BOOT_KERNEL_LOADER_H_
#define HEARTH_RUNTIME_BOOT_KERNEL_LOADER_H_

#include <asm/bootparam.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/boot/file_loader.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

struct LoadedKernel {
  // Where it can be entered: by the 64-bit Linux protocol, by PVH, or both.
  std::optional<GuestAddress> linux64_entry;
  std::optional<GuestAddress> pvh_entry;
  std::optional<setup_header> header;  // of a bzImage
  GuestAddress end;                    // of the memory that it needs at its start
  LoadedBytes loaded;
};

// The kind is told by content: ELF; a bzImage with a payload that we unpack, whose ELF is loaded; a
// bzImage with another payload, to unpack itself. Main thread, before vCPUs run. Errors name
// kernel_image_path.
absl::StatusOr<LoadedKernel> LoadKernel(GuestMemory& memory, const std::string& path);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_KERNEL_LOADER_H_
