// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/bzimage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "runtime/boot/test_compress.h"
#include "runtime/boot/test_images.h"

namespace hearth::boot {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<BzImage> Parse(const std::string& content) {
  const TestFile file(content);
  return ParseBzImage(file.fd(), content.size());
}

std::string ErrorOf(const TestBzImage& image) {
  const absl::Status status = Parse(image.Build()).status();
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

TEST(BzImage, UnpacksEveryCompressionOfTheBuild) {
  const std::string kernel = TestElf{.segments = {{0x100000, std::string(20000, 'k')}}}.Build();
  for (const Compression compression : kTestCompressions) {
    SCOPED_TRACE(std::string(CompressionName(compression)));
    const std::string content =
        TestBzImage{.payload = TestCompress(compression, kernel),
                    .uncompressed_size = static_cast<uint32_t>(kernel.size()),
                    .append_size = compression != Compression::kGzip}
            .Build();
    EXPECT_TRUE(LooksLikeBzImage(content.data(), content.size()));
    const TestFile file(content);
    const auto image = ParseBzImage(file.fd(), content.size());
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->compression, compression);
    EXPECT_EQ(image->uncompressed_size, kernel.size());
    const auto unpacked = DecompressBzImage(*image, file.fd(), 1 << 20);
    ASSERT_TRUE(unpacked.ok()) << unpacked.status();
    std::string found(kernel.size(), '\0');
    ASSERT_TRUE(base::PreadExactly(unpacked->get(), found.data(), found.size(), 0).ok());
    EXPECT_EQ(found, kernel);
  }
}

TEST(BzImage, RefusesABombBeforeAllocating) {
  const std::string content =
      TestBzImage{.payload = TestCompress(Compression::kZstd, std::string(1000, '\0')),
                  .uncompressed_size = 0xfffffff0}
          .Build();
  const TestFile file(content);
  const auto image = ParseBzImage(file.fd(), content.size());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT(DecompressBzImage(*image, file.fd(), 64 << 20).status().message(),
              HasSubstr("unpacks to 4294967280 bytes, which the guest's memory of 64 MiB does not "
                        "hold; raise mem_size_mib"));
}

TEST(BzImage, RefusesHeadersThatContradictTheFile) {
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.header = 0; }}), HasSubstr("magic"));
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.version = 0x207; }}),
              HasSubstr("protocol 0x207, older than 0x208"));
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.setup_sects = 200; }}),
              HasSubstr("truncated"));
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.payload_offset = ~0u; }}),
              HasSubstr("outside the kernel"));
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.payload_length = ~0u; }}),
              HasSubstr("outside the kernel"));
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.payload_length = 3; }}),
              HasSubstr("outside the kernel"));
  EXPECT_THAT(ErrorOf({.tweak = [](setup_header& h) { h.syssize = 1; }}),
              HasSubstr("outside the kernel"));
}

TEST(BzImage, EveryTruncationIsAnErrorNotACrash) {
  const std::string whole = TestBzImage{.payload = "\x89LZO"}.Build();
  for (size_t size = 0; size < 0x700; ++size) EXPECT_FALSE(Parse(whole.substr(0, size)).ok());
  EXPECT_FALSE(LooksLikeBzImage(whole.data(), 0x205));
}

TEST(BzImage, EntersWhatItCannotUnpackAsItIs) {
  const auto memory = *GuestMemory::Create({.size_bytes = 32 << 20});
  const std::string content = TestBzImage{.payload = "\x89LZO"}.Build();
  const TestFile file(content);
  const auto image = ParseBzImage(file.fd(), content.size());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(DecompressBzImage(*image, file.fd(), 1 << 20).status().code(),
            absl::StatusCode::kUnimplemented);
  const auto whole = LoadBzImageWhole(*image, file.fd(), *memory);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->entry, GuestAddress(0x1000200));
  EXPECT_EQ(whole->end, GuestAddress(0x1100000));
  EXPECT_EQ(memory->Slice(whole->entry, 1)->Load<uint8_t>(0), 0x90);
}

TEST(BzImage, EnteringAsItIsNeedsA64BitEntryAndRoom) {
  const auto error = [](uint64_t memory_bytes, auto tweak) {
    const auto memory = *GuestMemory::Create({.size_bytes = memory_bytes});
    const std::string content = TestBzImage{.payload = "\x89LZO", .tweak = tweak}.Build();
    const TestFile file(content);
    const auto image = ParseBzImage(file.fd(), content.size());
    EXPECT_TRUE(image.ok());
    return std::string(LoadBzImageWhole(*image, file.fd(), *memory).status().message());
  };
  EXPECT_THAT(error(16 << 20, [](setup_header&) {}), HasSubstr("raise mem_size_mib"));
  EXPECT_THAT(error(32 << 20, [](setup_header& h) { h.xloadflags = 0; }),
              HasSubstr("no 64-bit entry point"));
  EXPECT_THAT(error(32 << 20, [](setup_header& h) { h.version = 0x20b; }),
              HasSubstr("no 64-bit entry point"));
  EXPECT_THAT(error(32 << 20, [](setup_header& h) { h.pref_address = 0x1000; }),
              HasSubstr("contradicts itself"));
  EXPECT_THAT(error(32 << 20, [](setup_header& h) { h.pref_address = ~0ull; }),
              HasSubstr("contradicts itself"));
  EXPECT_THAT(error(32 << 20, [](setup_header& h) { h.init_size = 16; }),
              HasSubstr("contradicts itself"));
}

}  // namespace
}  // namespace hearth::boot
