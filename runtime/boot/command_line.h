// SPDX-License-Identifier: Apache-2.0
// The kernel's command line: checked, and put where layout.h says.
#ifndef HEARTH_RUNTIME_BOOT_COMMAND_LINE_H_
#define HEARTH_RUNTIME_BOOT_COMMAND_LINE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::boot {

// What an x86 kernel whose header does not tell takes: COMMAND_LINE_SIZE, less the NUL.
inline constexpr uint64_t kDefaultCommandLineLimit = 2047;

// Writes `command_line` and a NUL to layout::kCommandLine. Refuses one of more than `limit_bytes`
// (without the NUL; the kernel would cut it without a word) and control characters. Errors name
// boot_args.
absl::Status WriteCommandLine(GuestMemory& memory, absl::string_view command_line,
                              uint64_t limit_bytes);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_COMMAND_LINE_H_
