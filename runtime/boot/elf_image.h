// SPDX-License-Identifier: Apache-2.0
// ElfImage: what a loader must know of an ELF64 x86-64 kernel (vmlinux), checked.
//
// The file is hostile: every size and address is checked before use, and headers are read, not
// mapped, so that a file that shrinks meanwhile gives an error and no SIGBUS. Relocations are not
// applied: a segment goes to its physical address, as linked. Sources: "System V Application Binary
// Interface", ELF header and Program header; Linux "x86/HVM direct boot ABI" for the PVH note.
#ifndef HEARTH_RUNTIME_BOOT_ELF_IMAGE_H_
#define HEARTH_RUNTIME_BOOT_ELF_IMAGE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/boot/file_loader.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

struct ElfSegment {
  uint64_t file_offset;  // in the file, not in the image
  uint64_t file_size;    // at most memory_size; may be 0
  uint64_t memory_size;  // not 0; what is past file_size reads zero
  GuestAddress start;

  GuestAddress end() const { return start + memory_size; }
};

struct ElfImage {
  std::vector<ElfSegment> segments;  // not empty, ascending, disjoint; ends do not wrap
  // e_entry, where it is a physical address within a segment, as Linux has it (startup_64). Other
  // systems link it to a virtual one and can be entered by PVH only.
  std::optional<GuestAddress> entry;
  // XEN_ELFNOTE_PHYS32_ENTRY: below 4 GiB, within a segment. At least one of the two is set.
  std::optional<GuestAddress> pvh_entry;

  GuestAddress start() const { return segments.front().start; }
  GuestAddress end() const { return segments.back().end(); }
};

// Whether `size` bytes at `bytes` begin as an ELF file does.
bool LooksLikeElf(const void* bytes, uint64_t size);

// Parses the image in [image_offset, image_offset + image_size) of `fd`. Reads the header, the
// program headers and the notes; nothing is kept of `fd`. Errors say what is wrong, not in which
// file.
absl::StatusOr<ElfImage> ParseElf(int fd, uint64_t image_offset, uint64_t image_size);

// Puts the segments into `memory`, which must read zero where they go (fresh guest memory does:
// nothing is zeroed). `fd` is the file that was parsed. Main thread, before vCPUs run.
absl::StatusOr<LoadedBytes> LoadElf(const ElfImage& image, int fd, GuestMemory& memory);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_ELF_IMAGE_H_
