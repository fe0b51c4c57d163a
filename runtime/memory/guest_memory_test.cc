// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory/guest_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace hearth {
namespace {

constexpr uint64_t kMib = 1u << 20;

std::unique_ptr<GuestMemory> Make(GuestMemory::Options options) {
  auto memory = GuestMemory::Create(options);
  EXPECT_TRUE(memory.ok()) << memory.status();
  return memory.ok() ? *std::move(memory) : nullptr;
}

int FileWith(const std::string& content) {
  const int fd = memfd_create("file", MFD_CLOEXEC);
  EXPECT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return fd;
}

TEST(GuestAddress, CheckedAddRefusesToWrap) {
  EXPECT_EQ(GuestAddress(1).CheckedAdd(2), GuestAddress(3));
  EXPECT_EQ(GuestAddress(~0ull).CheckedAdd(1), std::nullopt);
  EXPECT_EQ(AlignUp(4097, 4096), 8192u);
}

TEST(GuestMemory, SmallMemoryIsOneRegion) {
  const auto memory = Make({.size_bytes = 16 * kMib});
  ASSERT_EQ(memory->regions().size(), 1u);
  EXPECT_TRUE(memory->Slice(GuestAddress(0), 16 * kMib));
  EXPECT_FALSE(memory->Slice(GuestAddress(0), 16 * kMib + 1));
  EXPECT_FALSE(memory->Slice(GuestAddress(16 * kMib), 1));
  EXPECT_TRUE(memory->Slice(GuestAddress(16 * kMib), 0));
  EXPECT_FALSE(memory->Slice(GuestAddress(~0ull), 2));
}

TEST(GuestMemory, LargeMemoryGoesAroundTheMmioHole) {
  const auto memory = Make({.size_bytes = 4096 * kMib});
  ASSERT_EQ(memory->regions().size(), 2u);
  EXPECT_EQ(memory->regions()[1].start, kMmioHoleEnd);
  EXPECT_EQ(memory->regions()[0].size_bytes + memory->regions()[1].size_bytes, 4096 * kMib);
  EXPECT_TRUE(memory->Slice(GuestAddress(kMmioHoleStart.value() - 1), 1));
  EXPECT_FALSE(memory->Slice(GuestAddress(kMmioHoleStart.value() - 1), 2));
  EXPECT_FALSE(memory->Slice(kMmioHoleStart, 1));
  EXPECT_TRUE(memory->Slice(kMmioHoleEnd, 4));
}

TEST(GuestMemory, RefusesBadSizesWithTheRemedy) {
  EXPECT_FALSE(GuestMemory::Create({.size_bytes = 0}).ok());
  EXPECT_FALSE(GuestMemory::Create({.size_bytes = 4095}).ok());
  EXPECT_FALSE(
      GuestMemory::Create({.size_bytes = kMib, .pages = GuestMemory::Pages::kHugetlb2M}).ok());
  const absl::Status status = GuestMemory::Create({.size_bytes = 1ull << 50}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("lower mem_size_mib"), absl::string_view::npos);
}

TEST(GuestMemory, ReadsZeroAndKeepsWhatWasWritten) {
  for (const auto backing : {GuestMemory::Backing::kAnonymous, GuestMemory::Backing::kMemfd}) {
    const auto memory = Make({.size_bytes = kMib, .backing = backing});
    const GuestSlice slice = *memory->Slice(GuestAddress(0x1001), 16);
    EXPECT_EQ(slice.Load<uint64_t>(3), 0u);
    EXPECT_TRUE(slice.Store<uint32_t>(3, 0xdeadbeef));
    EXPECT_EQ(slice.Load<uint32_t>(3), 0xdeadbeefu);
    EXPECT_EQ(slice.Load<uint8_t>(3), 0xef);
    EXPECT_FALSE(slice.Store<uint32_t>(13, 1));
    EXPECT_EQ(slice.Load<uint64_t>(9), std::nullopt);
    EXPECT_FALSE(slice.Subslice(8, 9));
    EXPECT_FALSE(slice.Subslice(~0ull, 2));
    EXPECT_TRUE(slice.Subslice(8, 8));
  }
}

TEST(GuestMemory, TracksTheVmmsWrites) {
  const auto memory = Make({.size_bytes = kMib, .track_dirty = true});
  EXPECT_TRUE(memory->Write("x", GuestAddress(0x1fff), "ab").ok());
  const GuestSlice slice = *memory->Slice(GuestAddress(0x8000), 0x2000);
  EXPECT_TRUE(slice.Subslice(0x1000, 4)->Store<uint8_t>(0, 1));
  for (uint64_t page = 0; page < 16; ++page) {
    EXPECT_EQ(memory->dirty_bitmap()->IsDirty(page), page == 1 || page == 2 || page == 9) << page;
  }
}

TEST(GuestMemory, MapsAFileWithoutCopyingAndKeepsItPrivate) {
  const auto memory = Make({.size_bytes = kMib});
  const std::string content = std::string(4096, 'a') + std::string(100, 'b') + std::string(50, 'c');
  const int fd = FileWith(content);
  ASSERT_TRUE(memory->MapFilePrivate("kernel", fd, 0, 4196, GuestAddress(0x10000)).ok());
  const GuestSlice slice = *memory->Slice(GuestAddress(0x10000), 0x3000);
  EXPECT_EQ(slice.Load<uint8_t>(0), 'a');
  EXPECT_EQ(slice.Load<uint8_t>(4195), 'b');
  EXPECT_EQ(slice.Load<uint8_t>(4196), 0) << "bytes past the segment must read zero";
  EXPECT_TRUE(slice.Store<uint8_t>(0, 'z'));
  char first;
  ASSERT_EQ(pread(fd, &first, 1, 0), 1);
  EXPECT_EQ(first, 'a');
  close(fd);
}

TEST(GuestMemory, RefusesMappingsThatOnlyACopyCanServe) {
  const int fd = FileWith(std::string(8192, 'a'));
  const auto memory = Make({.size_bytes = kMib});
  EXPECT_EQ(memory->MapFilePrivate("k", fd, 1, 4096, GuestAddress(0)).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(memory->MapFilePrivate("k", fd, 0, 4096, GuestAddress(1)).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(memory->MapFilePrivate("k", fd, 0, 8192, GuestAddress(kMib - 4096)).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_FALSE(memory->MapFilePrivate("k", -1, 0, 4096, GuestAddress(0)).ok());
  EXPECT_EQ(memory->Slice(GuestAddress(0), 8)->Load<uint64_t>(0), 0u)
      << "memory survives a failed mapping";
  const auto shared = Make({.size_bytes = kMib, .backing = GuestMemory::Backing::kMemfd});
  EXPECT_EQ(shared->MapFilePrivate("k", fd, 0, 4096, GuestAddress(0)).code(),
            absl::StatusCode::kFailedPrecondition);
  close(fd);
}

TEST(GuestMemory, HugePagesAreAlignedOrRefusedClearly) {
  const auto memory = Make({.size_bytes = 4 * kMib, .pages = GuestMemory::Pages::kTransparentHuge});
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->regions()[0].hva) % kHugePageSize, 0u);
  const auto hugetlb =
      GuestMemory::Create({.size_bytes = 4 * kMib, .pages = GuestMemory::Pages::kHugetlb2M});
  if (!hugetlb.ok()) {
    EXPECT_NE(hugetlb.status().message().find("nr_hugepages"), absl::string_view::npos)
        << hugetlb.status();
  } else {
    EXPECT_TRUE((*hugetlb)->Write("x", GuestAddress(3 * kMib), "x").ok());
  }
}

}  // namespace
}  // namespace hearth
