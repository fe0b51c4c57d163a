// SPDX-License-Identifier: Apache-2.0
// Any file as a bzImage: unpacked, and loaded as it is.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "base/status_macros.h"
#include "runtime/boot/bzimage.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  HEARTH_CHECK(ftruncate(file, 0) == 0);
  HEARTH_CHECK(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  (void)hearth::boot::LooksLikeBzImage(data, size);
  const auto image = hearth::boot::ParseBzImage(file, size);
  if (!image.ok()) return 0;
  HEARTH_CHECK(image->payload_offset + image->payload_size <= size);
  constexpr uint64_t kMaxBytes = 1u << 20;
  if (const auto kernel = hearth::boot::DecompressBzImage(*image, file, kMaxBytes); kernel.ok()) {
    HEARTH_CHECK(image->uncompressed_size <= kMaxBytes);
    (void)hearth::boot::ParseElf(kernel->get(), 0, image->uncompressed_size);
  }
  const auto memory = hearth::GuestMemory::Create({.size_bytes = 4u << 20});
  HEARTH_CHECK(memory.ok());
  (void)hearth::boot::LoadBzImageWhole(*image, file, **memory);
  return 0;
}
