// SPDX-License-Identifier: Apache-2.0
// What Linux's build does to a kernel (scripts/Makefile.lib, the size appended), for tests.
#ifndef HEARTH_RUNTIME_BOOT_TEST_COMPRESS_H_
#define HEARTH_RUNTIME_BOOT_TEST_COMPRESS_H_

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/status_macros.h"
#include "runtime/boot/bytes.h"
#include "runtime/boot/decompress.h"

namespace hearth::boot {

inline uint8_t* TestBytes(std::string& text) {
  return static_cast<uint8_t*>(static_cast<void*>(text.data()));
}

// Without the appended size.
inline std::string TestCompress(Compression compression, std::string input) {
  std::string output(2 * input.size() + 4096, '\0');
  switch (compression) {
    case Compression::kGzip: {
      z_stream stream{};
      HEARTH_CHECK(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, 0) == Z_OK);
      stream.next_in = TestBytes(input);
      stream.avail_in = static_cast<uInt>(input.size());
      stream.next_out = TestBytes(output);
      stream.avail_out = static_cast<uInt>(output.size());
      HEARTH_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
      output.resize(stream.total_out);
      deflateEnd(&stream);
      return output;
    }
    case Compression::kXz: {
      size_t size = 0;
      HEARTH_CHECK(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr, TestBytes(input),
                                           input.size(), TestBytes(output), &size,
                                           output.size()) == LZMA_OK);
      return output.substr(0, size);
    }
    case Compression::kLzma: {
      lzma_stream stream = LZMA_STREAM_INIT;
      lzma_options_lzma options;
      HEARTH_CHECK(!lzma_lzma_preset(&options, 0));
      HEARTH_CHECK(lzma_alone_encoder(&stream, &options) == LZMA_OK);
      stream.next_in = TestBytes(input);
      stream.avail_in = input.size();
      stream.next_out = TestBytes(output);
      stream.avail_out = output.size();
      HEARTH_CHECK(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
      output.resize(stream.total_out);
      lzma_end(&stream);
      return output;
    }
    case Compression::kLz4Legacy: {
      std::string legacy = BytesOf(uint32_t{0x184c2102});
      for (size_t at = 0; at < input.size(); at += 8 << 20) {
        const auto size = static_cast<int>(std::min<size_t>(input.size() - at, 8 << 20));
        const int n = LZ4_compress_default(input.data() + at, output.data(), size,
                                           static_cast<int>(output.size()));
        HEARTH_CHECK(n > 0);
        legacy += BytesOf(static_cast<uint32_t>(n)) + output.substr(0, static_cast<size_t>(n));
      }
      return legacy;
    }
    case Compression::kZstd: {
      const size_t size =
          ZSTD_compress(output.data(), output.size(), input.data(), input.size(), 1);
      HEARTH_CHECK(!ZSTD_isError(size));
      return output.substr(0, size);
    }
    case Compression::kBzip2: {
      auto size = static_cast<unsigned>(output.size());
      HEARTH_CHECK(BZ2_bzBuffToBuffCompress(output.data(), &size, input.data(),
                                            static_cast<unsigned>(input.size()), 1, 0, 0) == BZ_OK);
      return output.substr(0, size);
    }
    default:
      return input;
  }
}

inline constexpr Compression kTestCompressions[] = {Compression::kGzip, Compression::kXz,
                                                    Compression::kLzma, Compression::kLz4Legacy,
                                                    Compression::kZstd, Compression::kBzip2};

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_TEST_COMPRESS_H_
