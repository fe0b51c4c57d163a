// SPDX-License-Identifier: Apache-2.0
// Random slices, subslices, loads, stores and file mappings: nothing outside the memory may be
// touched (ASan watches).
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/status_macros.h"
#include "runtime/memory/guest_memory.h"

namespace {

struct Step {
  uint8_t operation;
  uint64_t address;
  uint64_t size;
  uint64_t offset;
} __attribute__((packed));

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = [] {
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    HEARTH_CHECK(ftruncate(fd, 64 << 10) == 0);
    return fd;
  }();
  auto memory = hearth::GuestMemory::Create({.size_bytes = 1u << 20, .track_dirty = true});
  HEARTH_CHECK(memory.ok());
  for (; size >= sizeof(Step); data += sizeof(Step), size -= sizeof(Step)) {
    Step step;
    std::memcpy(&step, data, sizeof(step));
    // Half of the numbers near the interesting borders, half as they come.
    if (step.operation & 0x80) {
      step.address %= 0x101000;
      step.size %= 0x1100;
      step.offset %= 0x1100;
    }
    const auto slice = (*memory)->Slice(hearth::GuestAddress(step.address), step.size);
    HEARTH_CHECK(slice.has_value() ==
                 (step.address <= (1u << 20) && step.size <= (1u << 20) - step.address));
    if (!slice) continue;
    uint8_t buffer[64] = {};
    switch (step.operation & 7) {
      case 0:
        (void)slice->Load<uint64_t>(step.offset);
        break;
      case 1:
        (void)slice->Store<uint32_t>(step.offset, 7);
        break;
      case 2:
        (void)slice->CopyOut(step.offset, buffer, sizeof(buffer));
        break;
      case 3:
        (void)slice->CopyIn(step.offset, buffer, sizeof(buffer));
        break;
      case 4:
        (void)slice->Fill(step.offset, 1, step.size / 2);
        break;
      case 5:
        if (const auto sub = slice->Subslice(step.offset, step.size / 2))
          (void)sub->Load<uint16_t>(step.size / 4);
        break;
      default:
        if (step.offset + step.size <= (64 << 10) && step.offset < (64 << 10)) {
          (void)(*memory)->MapFilePrivate("fuzz", file, step.offset, step.size,
                                          hearth::GuestAddress(step.address));
        }
    }
  }
  return 0;
}
