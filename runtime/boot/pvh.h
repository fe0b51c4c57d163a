// SPDX-License-Identifier: Apache-2.0
// PVH: the start info by which "x86/HVM direct boot ABI" tells the kernel what the machine has.
// Pure; any thread.
#ifndef HEARTH_RUNTIME_BOOT_PVH_H_
#define HEARTH_RUNTIME_BOOT_PVH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/boot/initrd.h"
#include "runtime/boot/memory_map.h"
#include "runtime/memory/guest_address.h"

namespace hearth::boot {

inline constexpr uint32_t kPvhMagic = 0x336ec578;

// struct hvm_start_info, version 1. All addresses are physical; 0 stands for "none".
struct HvmStartInfo {
  uint32_t magic = kPvhMagic;
  uint32_t version = 1;
  uint32_t flags = 0;
  uint32_t module_count = 0;
  uint64_t modules_gpa = 0;
  uint64_t command_line_gpa = 0;
  uint64_t rsdp_gpa = 0;
  uint64_t memory_map_gpa = 0;
  uint32_t memory_map_entries = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(HvmStartInfo) == 56);

struct HvmModule {
  uint64_t start_gpa;
  uint64_t size_bytes;
  uint64_t command_line_gpa;
  uint64_t reserved;
};
static_assert(sizeof(HvmModule) == 32);

struct HvmMemoryMapEntry {
  uint64_t start_gpa;
  uint64_t size_bytes;
  uint32_t type;  // as E820
  uint32_t reserved;
};
static_assert(sizeof(HvmMemoryMapEntry) == 24);

struct PvhInput {
  Initrd initrd;  // becomes the only module
  std::optional<GuestAddress> rsdp;
  std::vector<MemoryRange> memory_map;
};

// The start info, with the module list and the memory map behind it, to be written to `base`. The
// command line is at layout::kCommandLine.
std::string BuildPvhStartInfo(const PvhInput& input, GuestAddress base);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_PVH_H_
