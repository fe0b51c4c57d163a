// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/initrd.h"

#include <fcntl.h>

#include <algorithm>

#include "base/files.h"
#include "base/status_macros.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

absl::StatusOr<GuestAddress> PlaceInitrd(const GuestMemory& memory, uint64_t size,
                                         GuestAddress kernel_end, uint64_t address_max) {
  const uint64_t low_end = std::min(memory.regions()[0].size_bytes, kMmioHoleStart.value());
  const uint64_t end = AlignDown(std::min(low_end, address_max + 1), kPageSize);
  const uint64_t begin = AlignUp(std::max(kernel_end, layout::kHighMemory).value(), kPageSize);
  if (begin > end || size > end - begin) {
    return absl::InvalidArgumentError(absl::StrCat(
        "its ", size, " bytes do not fit into the ", begin > end ? 0 : end - begin,
        " bytes between the kernel's end at ", kernel_end.ToString(), " and ",
        GuestAddress(end).ToString(), "; raise mem_size_mib or give a smaller initrd"));
  }
  return GuestAddress(AlignDown(end - size, kPageSize));
}

absl::StatusOr<Initrd> Load(GuestMemory& memory, const std::string& path, GuestAddress kernel_end,
                            uint64_t address_max) {
  HEARTH_ASSIGN_OR_RETURN(const base::UniqueFd fd, base::Open(path, O_RDONLY));
  HEARTH_ASSIGN_OR_RETURN(const uint64_t size, base::RegularFileSize(fd.get(), "it"));
  if (size == 0)
    return absl::InvalidArgumentError("the file is empty; give a cpio archive, or no initrd_path");
  Initrd initrd{.size_bytes = size};
  HEARTH_ASSIGN_OR_RETURN(initrd.start, PlaceInitrd(memory, size, kernel_end, address_max));
  HEARTH_ASSIGN_OR_RETURN(initrd.loaded,
                          LoadFileRange(memory, "initrd", fd.get(), 0, size, initrd.start));
  return initrd;
}

}  // namespace

absl::StatusOr<Initrd> LoadInitrd(GuestMemory& memory, const std::string& path,
                                  GuestAddress kernel_end, uint64_t address_max) {
  HEARTH_ASSIGN_OR_RETURN(Initrd initrd, Load(memory, path, kernel_end, address_max),
                          "initrd_path ", path);
  return initrd;
}

}  // namespace hearth::boot
