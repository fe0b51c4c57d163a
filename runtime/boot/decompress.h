// SPDX-License-Identifier: Apache-2.0
// Decompression of a kernel's payload, all at once, into a buffer whose size is known beforehand.
//
// The kernel's build appends the uncompressed size to what the compressor wrote, so the output
// needs no growing and no limit of its own: the buffer is the limit, and a payload that wants more
// is refused. Input is hostile. Pure; any thread.
#ifndef HEARTH_RUNTIME_BOOT_DECOMPRESS_H_
#define HEARTH_RUNTIME_BOOT_DECOMPRESS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace hearth::boot {

// The formats that Linux's build makes (CONFIG_KERNEL_*), but LZO.
enum class Compression { kUnknown, kNone, kGzip, kXz, kLzma, kLz4Legacy, kZstd, kBzip2 };

// By the first bytes. kNone means an ELF file.
Compression DetectCompression(absl::string_view payload);
absl::string_view CompressionName(Compression compression);

// Fills `output` exactly; a payload that decodes to more or fewer bytes is an error, as is kUnknown
// and kNone. Bytes of `payload` past the end of the stream are ignored, except for lz4's, which has
// no end mark.
absl::Status Decompress(Compression compression, absl::string_view payload,
                        absl::Span<uint8_t> output);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_DECOMPRESS_H_
