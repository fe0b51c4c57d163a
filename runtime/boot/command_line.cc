// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/command_line.h"

#include <algorithm>
#include <string>

#include "runtime/boot/layout.h"

namespace hearth::boot {

absl::Status WriteCommandLine(GuestMemory& memory, absl::string_view command_line,
                              uint64_t limit_bytes) {
  const uint64_t limit = std::min(limit_bytes, layout::kCommandLineMaxBytes - 1);
  if (command_line.size() > limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("boot_args: with what the machine adds, the command line has ",
                     command_line.size(), " bytes and this kernel takes ", limit, "; shorten it"));
  }
  for (size_t i = 0; i < command_line.size(); ++i) {
    const auto byte = static_cast<uint8_t>(command_line[i]);
    if (byte < ' ' || byte == 0x7f) {
      return absl::InvalidArgumentError(absl::StrCat(
          "boot_args: byte ", i, " is the control character 0x", absl::Hex(byte), "; take it out"));
    }
  }
  return memory.Write("boot_args", layout::kCommandLine,
                      absl::StrCat(command_line, absl::string_view("\0", 1)));
}

}  // namespace hearth::boot
