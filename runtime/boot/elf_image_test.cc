// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/elf_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/boot/test_images.h"

namespace hearth::boot {
namespace {

using ::testing::HasSubstr;
using Headers = std::vector<Elf64_Phdr>;

absl::StatusOr<ElfImage> Parse(const std::string& content) {
  const TestFile file(content);
  return ParseElf(file.fd(), 0, content.size());
}

std::string ErrorOf(const TestElf& elf) {
  const absl::Status status = Parse(elf.Build()).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("; give an uncompressed x86-64 vmlinux or a bzImage"));
  return std::string(status.message());
}

TEST(ElfImage, FindsSegmentsInAscendingOrderAndBothEntries) {
  const TestElf elf{.entry = 0x200010,
                    .segments = {{0x300000, "data", 0x5000},
                                 {0x200000, std::string(0x20, 'c')},
                                 {0, PvhNote(0x200000), 0, PT_NOTE}}};
  const auto image = Parse(elf.Build());
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(image->segments.size(), 2u);
  EXPECT_EQ(image->start(), GuestAddress(0x200000));
  EXPECT_EQ(image->end(), GuestAddress(0x305004));
  EXPECT_EQ(image->entry, GuestAddress(0x200010));
  EXPECT_EQ(image->pvh_entry, GuestAddress(0x200000));
}

TEST(ElfImage, FindsThePvhNoteBehindOthersAndNarrow) {
  const std::string other = BytesOf(Elf64_Nhdr{6, 5, 1}) + std::string(
                                                               "Linux\0\0\0"
                                                               "12345\0\0\0",
                                                               16);
  const std::string narrow =
      BytesOf(Elf64_Nhdr{4, 4, 18}) + std::string("Xen\0", 4) + BytesOf(uint32_t{0x100002});
  const TestElf elf{.segments = {{0x100000, "code"}, {0, other + narrow, 0, PT_NOTE}}};
  const auto image = Parse(elf.Build());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->pvh_entry, GuestAddress(0x100002));
}

TEST(ElfImage, VirtualEntryIsFineWherePvhIsThere) {
  TestElf elf{.entry = 0xffffffff80000000,
              .segments = {{0x100000, "code"}, {0, PvhNote(0x100000), 0, PT_NOTE}}};
  const auto image = Parse(elf.Build());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_FALSE(image->entry.has_value());
  elf.segments.pop_back();
  EXPECT_THAT(ErrorOf(elf), HasSubstr("entry point 0xffffffff80000000 is outside"));
}

TEST(ElfImage, RefusesWhatIsNotAKernelForThisMachine) {
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_ident[0] = 0; }}),
              HasSubstr("not an ELF file"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_machine = EM_AARCH64; }}),
              HasSubstr("machine 183"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_ident[EI_CLASS] = ELFCLASS32; }}),
              HasSubstr("not 64-bit x86-64"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_type = ET_REL; }}),
              HasSubstr("not an executable"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_phentsize = 32; }}),
              HasSubstr("program headers of 32 bytes"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_phnum = 0; }}),
              HasSubstr("0 program headers"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_phnum = 0xffff; }}),
              HasSubstr("65535 program headers"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr& h, Headers&) { h.e_phoff = ~0ull - 8; }}),
              HasSubstr("outside the image"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_type = PT_NULL; }}),
              HasSubstr("without a segment"));
}

TEST(ElfImage, RefusesContradictorySegments) {
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_filesz = 5; }}),
              HasSubstr("p_filesz 5 exceeds p_memsz 4"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_offset += 1; }}),
              HasSubstr("truncated or corrupt"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_offset = ~0ull; }}),
              HasSubstr("outside the image"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_paddr = ~0ull - 2; }}),
              HasSubstr("wraps"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_memsz = ~0ull; }}),
              HasSubstr("wraps"));
  EXPECT_THAT(ErrorOf({.tweak = [](Elf64_Ehdr&, Headers& p) { p[0].p_paddr = 0xff000; }}),
              HasSubstr("below 1 MiB"));
  EXPECT_THAT(ErrorOf({.segments = {{0x100000, "abcd"}, {0x100003, "e"}}}), HasSubstr("overlap"));
  EXPECT_THAT(ErrorOf({.entry = 0x100004}), HasSubstr("entry point 0x100004"));
  EXPECT_THAT(ErrorOf({.segments = {{0x100000, "code"}, {0, PvhNote(0x99), 0, PT_NOTE}}}),
              HasSubstr("PVH entry point 0x99"));
}

TEST(ElfImage, EveryTruncationIsAnErrorNotACrash) {
  const std::string whole =
      TestElf{.segments = {{0x100000, "code"}, {0, PvhNote(0x100000), 0, PT_NOTE}}}.Build();
  for (size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 97) {
    EXPECT_FALSE(Parse(whole.substr(0, size)).ok()) << size;
  }
  const TestFile shrunk(whole.substr(0, 100));
  EXPECT_FALSE(ParseElf(shrunk.fd(), 0, whole.size()).ok()) << "the file shrank after stat()";
}

class LoadElfTest : public ::testing::TestWithParam<GuestMemory::Backing> {
 protected:
  std::unique_ptr<GuestMemory> memory_ =
      *GuestMemory::Create({.size_bytes = 8 << 20, .backing = GetParam()});

  std::string Read(uint64_t at, uint64_t size) {
    std::string bytes(size, '?');
    EXPECT_TRUE(memory_->Slice(GuestAddress(at), size)->CopyOut(0, bytes.data(), size));
    return bytes;
  }
};

TEST_P(LoadElfTest, PutsEverySegmentInPlaceWhateverItsAlignment) {
  std::string code(3 * kPageSize + 123, '\0');
  for (size_t i = 0; i < code.size(); ++i) code[i] = static_cast<char>(i * 7 + i / 256);
  for (const uint64_t misalign : {0, 16}) {
    for (const uint64_t paddr : {0x200000, 0x200100}) {
      memory_ = *GuestMemory::Create({.size_bytes = 8 << 20, .backing = GetParam()});
      // The second segment begins in the first one's last page.
      const uint64_t second = paddr + code.size() + 5;
      const TestElf elf{.entry = paddr,
                        .segments = {{paddr, code, 2}, {second, "tail", 0x3000}},
                        .misalign = misalign};
      const TestFile file(elf.Build());
      const auto image = ParseElf(file.fd(), 0, elf.Build().size());
      ASSERT_TRUE(image.ok()) << image.status();
      const auto loaded = LoadElf(*image, file.fd(), *memory_);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ(loaded->mapped + loaded->copied, code.size() + 4);
      const bool can_map = misalign == 0 && GetParam() == GuestMemory::Backing::kAnonymous;
      EXPECT_EQ(loaded->mapped > 0, can_map);
      EXPECT_EQ(Read(paddr, code.size()), code);
      EXPECT_EQ(Read(second - 5, 5), std::string(5, '\0'));
      EXPECT_EQ(Read(second, 4), "tail");
      EXPECT_EQ(Read(second + 4, 0x3000), std::string(0x3000, '\0'));
      EXPECT_EQ(Read(paddr - 1, 1), std::string(1, '\0'));
    }
  }
}

TEST_P(LoadElfTest, RefusesASegmentOutsideMemory) {
  for (const TestElf& elf : {TestElf{.segments = {{0x100000, "code", 8 << 20}}},
                             TestElf{.entry = 1ull << 60, .segments = {{1ull << 60, "code"}}},
                             TestElf{.entry = 0x800000, .segments = {{0x800000, "code"}}}}) {
    const TestFile file(elf.Build());
    const auto image = ParseElf(file.fd(), 0, elf.Build().size());
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_THAT(LoadElf(*image, file.fd(), *memory_).status().message(),
                HasSubstr("raise mem_size_mib"));
  }
}

INSTANTIATE_TEST_SUITE_P(Backings, LoadElfTest,
                         ::testing::Values(GuestMemory::Backing::kAnonymous,
                                           GuestMemory::Backing::kMemfd));

}  // namespace
}  // namespace hearth::boot
