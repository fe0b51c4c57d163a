// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/kernel_loader.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "base/files.h"
#include "base/status_macros.h"
#include "runtime/boot/bzimage.h"
#include "runtime/boot/elf_image.h"

namespace hearth::boot {
namespace {

absl::StatusOr<LoadedKernel> LoadElfKernel(GuestMemory& memory, int fd, uint64_t offset,
                                           uint64_t size) {
  HEARTH_ASSIGN_OR_RETURN(const ElfImage image, ParseElf(fd, offset, size));
  HEARTH_ASSIGN_OR_RETURN(const LoadedBytes loaded, LoadElf(image, fd, memory));
  return LoadedKernel{.linux64_entry = image.entry,
                      .pvh_entry = image.pvh_entry,
                      .header = std::nullopt,
                      .end = image.end(),
                      .loaded = loaded};
}

absl::StatusOr<LoadedKernel> LoadBzImageParts(GuestMemory& memory, int fd, const BzImage& image) {
  switch (image.compression) {
    case Compression::kNone:
      return LoadElfKernel(memory, fd, image.payload_offset, image.payload_size);
    case Compression::kUnknown: {
      HEARTH_ASSIGN_OR_RETURN(const BzImageEntry whole, LoadBzImageWhole(image, fd, memory));
      return LoadedKernel{.linux64_entry = whole.entry,
                          .pvh_entry = std::nullopt,
                          .header = std::nullopt,
                          .end = whole.end,
                          .loaded = whole.loaded};
    }
    default: {
      HEARTH_ASSIGN_OR_RETURN(const base::UniqueFd kernel,
                              DecompressBzImage(image, fd, memory.size_bytes()));
      HEARTH_ASSIGN_OR_RETURN(LoadedKernel loaded,
                              LoadElfKernel(memory, kernel.get(), 0, image.uncompressed_size),
                              "unpacked kernel");
      // The memfd's pages are this process's own: shared with nobody.
      loaded.loaded = {.mapped = 0, .copied = loaded.loaded.mapped + loaded.loaded.copied};
      return loaded;
    }
  }
}

absl::StatusOr<LoadedKernel> Load(GuestMemory& memory, const std::string& path) {
  HEARTH_ASSIGN_OR_RETURN(const base::UniqueFd fd, base::Open(path, O_RDONLY));
  HEARTH_ASSIGN_OR_RETURN(const uint64_t size, base::RegularFileSize(fd.get(), "it"));
  std::array<uint8_t, 1024> start;
  const uint64_t start_size = std::min<uint64_t>(size, start.size());
  HEARTH_RETURN_IF_ERROR(base::PreadExactly(fd.get(), start.data(), start_size, 0));
  if (LooksLikeElf(start.data(), start_size)) return LoadElfKernel(memory, fd.get(), 0, size);
  if (!LooksLikeBzImage(start.data(), start_size)) {
    return absl::InvalidArgumentError(
        "neither an ELF file nor a bzImage; give a vmlinux or a bzImage for x86-64");
  }
  HEARTH_ASSIGN_OR_RETURN(const BzImage image, ParseBzImage(fd.get(), size));
  HEARTH_ASSIGN_OR_RETURN(LoadedKernel kernel, LoadBzImageParts(memory, fd.get(), image));
  kernel.header = image.header;
  return kernel;
}

}  // namespace

absl::StatusOr<LoadedKernel> LoadKernel(GuestMemory& memory, const std::string& path) {
  HEARTH_ASSIGN_OR_RETURN(LoadedKernel kernel, Load(memory, path), "kernel_image_path ", path);
  return kernel;
}

}  // namespace hearth::boot
