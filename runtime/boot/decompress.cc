// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/decompress.h"

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "runtime/boot/bytes.h"

namespace hearth::boot {
namespace {

// `lz4 -l` cuts its input into blocks of this size.
constexpr uint64_t kLz4LegacyBlockBytes = 8u << 20;
// Kernels are packed with a dictionary of at most 128 MiB (xz -T, zstd --ultra); more is an attack
// on our memory.
constexpr uint64_t kMaxDecoderBytes = 256u << 20;

// Each decoder returns the number of bytes written, or why it stopped.
using Result = absl::StatusOr<uint64_t>;

Result Fail(absl::string_view why) { return absl::InvalidArgumentError(why); }

// The libraries' input pointers are not const, or are bytes of another sign; none of them writes
// there.
uint8_t* Input(absl::string_view bytes) {
  return static_cast<uint8_t*>(static_cast<void*>(const_cast<char*>(bytes.data())));
}
template <typename T>
T* As(uint8_t* bytes) {
  return static_cast<T*>(static_cast<void*>(bytes));
}

bool FitsUint32(uint64_t size) { return size <= std::numeric_limits<uint32_t>::max(); }

Result Gunzip(absl::string_view input, absl::Span<uint8_t> output) {
  if (!FitsUint32(input.size()) || !FitsUint32(output.size())) return Fail("4 GiB or more");
  z_stream stream{};
  constexpr int kGzipOnly = 16;
  if (inflateInit2(&stream, kGzipOnly + MAX_WBITS) != Z_OK) return Fail("zlib does not start");
  stream.next_in = Input(input);
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = output.data();
  stream.avail_out = static_cast<uInt>(output.size());
  const int result = inflate(&stream, Z_FINISH);
  const std::string why =
      stream.msg != nullptr ? stream.msg : "truncated, or larger than announced";
  const uint64_t written = stream.total_out;
  inflateEnd(&stream);
  return result == Z_STREAM_END ? Result(written) : Fail(why);
}

Result RunLzma(lzma_stream& stream, absl::string_view input, absl::Span<uint8_t> output) {
  stream.next_in = Input(input);
  stream.avail_in = input.size();
  stream.next_out = output.data();
  stream.avail_out = output.size();
  const lzma_ret result = lzma_code(&stream, LZMA_FINISH);
  const uint64_t written = stream.total_out;
  lzma_end(&stream);
  if (result == LZMA_STREAM_END) return written;
  return Fail(
      absl::StrCat("truncated, or larger than announced, or damaged (liblzma: ", result, ")"));
}

Result Unxz(absl::string_view input, absl::Span<uint8_t> output) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMaxDecoderBytes, 0) != LZMA_OK)
    return Fail("liblzma does not start");
  return RunLzma(stream, input, output);
}

Result Unlzma(absl::string_view input, absl::Span<uint8_t> output) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_alone_decoder(&stream, kMaxDecoderBytes) != LZMA_OK)
    return Fail("liblzma does not start");
  return RunLzma(stream, input, output);
}

Result Unlz4Legacy(absl::string_view input, absl::Span<uint8_t> output) {
  uint64_t written = 0;
  for (uint64_t at = sizeof(uint32_t); at < input.size();) {  // after the magic
    const auto block = ReadFrom<uint32_t>(input, at);
    at += sizeof(uint32_t);
    if (!block || *block > input.size() - at || *block > LZ4_COMPRESSBOUND(kLz4LegacyBlockBytes)) {
      return Fail(absl::StrCat("bad block at offset ", at));
    }
    const uint64_t room = std::min<uint64_t>(output.size() - written, kLz4LegacyBlockBytes);
    const int n = LZ4_decompress_safe(input.data() + at, As<char>(output.data()) + written,
                                      static_cast<int>(*block), static_cast<int>(room));
    if (n < 0)
      return Fail(absl::StrCat("corrupt block at offset ", at, ", or larger than announced"));
    written += static_cast<uint64_t>(n);
    at += *block;
  }
  return written;
}

Result Unzstd(absl::string_view input, absl::Span<uint8_t> output) {
  // The decoder refuses what follows the frame: cut it off.
  const size_t frame = ZSTD_findFrameCompressedSize(input.data(), input.size());
  if (ZSTD_isError(frame)) return Fail(ZSTD_getErrorName(frame));
  const size_t written = ZSTD_decompress(output.data(), output.size(), input.data(), frame);
  if (ZSTD_isError(written)) return Fail(ZSTD_getErrorName(written));
  return written;
}

Result Bunzip2(absl::string_view input, absl::Span<uint8_t> output) {
  if (!FitsUint32(input.size()) || !FitsUint32(output.size())) return Fail("4 GiB or more");
  auto written = static_cast<unsigned>(output.size());
  const int result =
      BZ2_bzBuffToBuffDecompress(As<char>(output.data()), &written, As<char>(Input(input)),
                                 static_cast<unsigned>(input.size()), 0, 0);
  if (result != BZ_OK)
    return Fail(
        absl::StrCat("truncated, or larger than announced, or damaged (libbz2: ", result, ")"));
  return written;
}

struct Format {
  Compression compression;
  absl::string_view name;
  absl::string_view magic;
  Result (*decompress)(absl::string_view, absl::Span<uint8_t>);
};

constexpr Format kFormats[] = {
    {Compression::kNone, "none", {"\177ELF", 4}, nullptr},
    {Compression::kGzip, "gzip", {"\037\213\010", 3}, Gunzip},
    {Compression::kXz,
     "xz",
     {"\375"
      "7zXZ\0",
      6},
     Unxz},
    {Compression::kLz4Legacy, "lz4", {"\002\041\114\030", 4}, Unlz4Legacy},
    {Compression::kZstd, "zstd", {"\050\265\057\375", 4}, Unzstd},
    {Compression::kBzip2, "bzip2", {"BZh", 3}, Bunzip2},
    // No magic proper: the properties byte of lc=3, lp=0, pb=2, then a dictionary size of whole 64
    // KiB.
    {Compression::kLzma, "lzma", {"\135\0\0", 3}, Unlzma},
};

const Format* FindFormat(Compression compression) {
  for (const Format& format : kFormats) {
    if (format.compression == compression) return &format;
  }
  return nullptr;
}

}  // namespace

Compression DetectCompression(absl::string_view payload) {
  for (const Format& format : kFormats) {
    if (payload.substr(0, format.magic.size()) == format.magic) return format.compression;
  }
  return Compression::kUnknown;
}

absl::string_view CompressionName(Compression compression) {
  const Format* const format = FindFormat(compression);
  return format != nullptr ? format->name : "unknown";
}

absl::Status Decompress(Compression compression, absl::string_view payload,
                        absl::Span<uint8_t> output) {
  const Format* const format = FindFormat(compression);
  if (format == nullptr || format->decompress == nullptr) {
    return absl::UnimplementedError(absl::StrCat("no decoder for ", CompressionName(compression)));
  }
  const Result written = format->decompress(payload, output);
  if (!written.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(format->name,
                                                   " payload: ", written.status().message(),
                                                   "; the file is corrupt, copy it again"));
  }
  if (*written != output.size()) {
    return absl::InvalidArgumentError(absl::StrCat(format->name, " payload: decodes to ", *written,
                                                   " bytes where it announces ", output.size(),
                                                   "; the file is corrupt, copy it again"));
  }
  return absl::OkStatus();
}

}  // namespace hearth::boot
