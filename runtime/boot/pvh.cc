// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/pvh.h"

#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {

std::string BuildPvhStartInfo(const PvhInput& input, GuestAddress base) {
  std::string lists;
  const auto here = [&] { return (base + sizeof(HvmStartInfo) + lists.size()).value(); };
  HvmStartInfo info{.command_line_gpa = layout::kCommandLine.value()};
  if (input.rsdp) info.rsdp_gpa = input.rsdp->value();
  if (input.initrd.size_bytes > 0) {
    info.module_count = 1;
    info.modules_gpa = here();
    lists += BytesOf(HvmModule{input.initrd.start.value(), input.initrd.size_bytes, 0, 0});
  }
  info.memory_map_gpa = here();
  info.memory_map_entries = static_cast<uint32_t>(input.memory_map.size());
  for (const MemoryRange& range : input.memory_map) {
    lists += BytesOf(HvmMemoryMapEntry{range.start.value(), range.size_bytes,
                                       static_cast<uint32_t>(range.type), 0});
  }
  return BytesOf(info) + lists;
}

}  // namespace hearth::boot
