// SPDX-License-Identifier: Apache-2.0
// BzImage: Linux's compressed kernel file, and the ELF kernel inside it.
//
// Decompressing here, with optimised libraries and without the guest's page faults, beats the
// decompressor that the guest would run. The payload is decoded in one call into a memfd (shared
// memory: no second buffer), whose pages LoadElf() then maps into the guest: nothing is copied
// after the decoder. Hostile input. Source: Linux Documentation, "The Linux/x86 Boot Protocol", The
// Real-Mode Kernel Header and 64-bit Boot Protocol.
#ifndef HEARTH_RUNTIME_BOOT_BZIMAGE_H_
#define HEARTH_RUNTIME_BOOT_BZIMAGE_H_

#include <asm/bootparam.h>

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/boot/decompress.h"
#include "runtime/boot/elf_image.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

struct BzImage {
  setup_header header;     // as in the file; what the file's version of the protocol lacks is zero
  uint64_t kernel_offset;  // of the protected-mode code in the file
  uint64_t kernel_size;
  uint64_t payload_offset;  // in the file; without the size that the build appends
  uint64_t payload_size;
  uint64_t uncompressed_size;  // as announced
  Compression compression;
};

// Whether a file that begins with the `size` bytes at `bytes` has the setup header's magic.
bool LooksLikeBzImage(const void* bytes, uint64_t size);

// Reads and checks the setup header and finds the payload. Protocol 2.08 (Linux 2.6.26) at least.
absl::StatusOr<BzImage> ParseBzImage(int fd, uint64_t file_size);

// The ELF kernel in a file of its own: a memfd of image.uncompressed_size bytes, at most
// `max_bytes`. For every compression but kUnknown (Unimplemented) and kNone, which needs none of
// it: ParseElf() at payload_offset does.
absl::StatusOr<base::UniqueFd> DecompressBzImage(const BzImage& image, int fd, uint64_t max_bytes);

struct BzImageEntry {
  GuestAddress entry;  // of the 64-bit protocol
  GuestAddress start;  // [start, end) is the kernel's while it unpacks itself
  GuestAddress end;
  LoadedBytes loaded;
};

// Loads the protected-mode code as it is, to unpack itself in the guest: for what
// DecompressBzImage() cannot do.
absl::StatusOr<BzImageEntry> LoadBzImageWhole(const BzImage& image, int fd, GuestMemory& memory);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_BZIMAGE_H_
