// SPDX-License-Identifier: Apache-2.0
// Any file as a kernel: what parses must keep the promises of ElfImage, and load or be refused.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "base/status_macros.h"
#include "runtime/boot/elf_image.h"

namespace {

using hearth::GuestMemory;

void CheckPromises(const hearth::boot::ElfImage& image, uint64_t size) {
  HEARTH_CHECK(!image.segments.empty());
  HEARTH_CHECK(image.entry || image.pvh_entry);
  for (size_t i = 0; i < image.segments.size(); ++i) {
    const hearth::boot::ElfSegment& segment = image.segments[i];
    HEARTH_CHECK(segment.memory_size > 0 && segment.start < segment.end());
    HEARTH_CHECK(segment.file_size <= segment.memory_size);
    HEARTH_CHECK(segment.file_offset <= size && segment.file_size <= size - segment.file_offset);
    HEARTH_CHECK(i == 0 || image.segments[i - 1].end() <= segment.start);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  HEARTH_CHECK(ftruncate(file, 0) == 0);
  HEARTH_CHECK(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  const auto image = hearth::boot::ParseElf(file, 0, size);
  if (!image.ok()) return 0;
  CheckPromises(*image, size);
  const auto memory = GuestMemory::Create({.size_bytes = 4u << 20, .track_dirty = true});
  HEARTH_CHECK(memory.ok());
  (void)hearth::boot::LoadElf(*image, file, **memory);
  return 0;
}
