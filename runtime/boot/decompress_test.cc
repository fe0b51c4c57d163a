// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/decompress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "runtime/boot/test_compress.h"

namespace hearth::boot {
namespace {

using ::testing::HasSubstr;

std::string Sample(size_t size) {
  std::string sample(size, '\0');
  uint32_t state = 1;
  for (char& byte : sample) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>((state >> 24) & 0x1f);
  }
  return sample;
}

absl::Status Decode(Compression compression, absl::string_view payload, const std::string& expected,
                    int64_t room_change = 0) {
  std::vector<uint8_t> output(
      static_cast<size_t>(static_cast<int64_t>(expected.size()) + room_change));
  const absl::Status status = Decompress(compression, payload, absl::MakeSpan(output));
  if (status.ok()) {
    EXPECT_EQ(std::memcmp(output.data(), expected.data(), output.size()), 0);
  }
  return status;
}

class DecompressTest : public ::testing::TestWithParam<Compression> {};

TEST_P(DecompressTest, RoundTripsAndIsDetected) {
  // More than one lz4 block.
  const std::string sample = Sample(GetParam() == Compression::kLz4Legacy ? 9 << 20 : 100000);
  const std::string payload = TestCompress(GetParam(), sample);
  EXPECT_EQ(DetectCompression(payload), GetParam());
  EXPECT_TRUE(Decode(GetParam(), payload, sample).ok()) << Decode(GetParam(), payload, sample);
}

TEST_P(DecompressTest, RefusesAnyOtherSizeThanAnnounced) {
  const std::string sample = Sample(10000);
  const std::string payload = TestCompress(GetParam(), sample);
  const absl::Status larger = Decode(GetParam(), payload, sample, -1);
  EXPECT_THAT(larger.message(), HasSubstr("the file is corrupt"));
  EXPECT_THAT(larger.message(), HasSubstr(std::string(CompressionName(GetParam()))));
  EXPECT_FALSE(Decode(GetParam(), payload, sample + " ").ok());
}

TEST_P(DecompressTest, TruncatedOrDamagedInputIsAnErrorNotACrash) {
  const std::string sample = Sample(5000);
  const std::string payload = TestCompress(GetParam(), sample);
  for (size_t size = 0; size < payload.size() - 8; size += 1 + payload.size() / 50) {
    EXPECT_FALSE(Decode(GetParam(), payload.substr(0, size), sample).ok()) << size;
  }
  for (size_t at = 0; at < payload.size(); at += 1 + payload.size() / 50) {
    std::string damaged = payload;
    damaged[at] = static_cast<char>(~damaged[at]);
    std::vector<uint8_t> output(sample.size());
    (void)Decompress(GetParam(), damaged,
                     absl::MakeSpan(output));  // may pass where no check covers it
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, DecompressTest, ::testing::ValuesIn(kTestCompressions),
                         [](const auto& info) { return std::string(CompressionName(info.param)); });

TEST(Decompress, KnowsWhatItDoesNotKnow) {
  EXPECT_EQ(DetectCompression("\x89LZO"), Compression::kUnknown);
  EXPECT_EQ(DetectCompression(""), Compression::kUnknown);
  EXPECT_EQ(DetectCompression("\x7f"
                              "ELF"),
            Compression::kNone);
  std::vector<uint8_t> output(1);
  EXPECT_EQ(Decompress(Compression::kUnknown, "x", absl::MakeSpan(output)).code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace hearth::boot
