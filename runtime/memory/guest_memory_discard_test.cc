// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/memory/guest_memory.h"

namespace hearth {
namespace {

using Backing = GuestMemory::Backing;
using Pages = GuestMemory::Pages;
using testing::HasSubstr;

constexpr uint64_t kMib = 1u << 20;

std::unique_ptr<GuestMemory> Make(GuestMemory::Options options) {
  auto memory = GuestMemory::Create(options);
  EXPECT_TRUE(memory.ok()) << memory.status();
  return memory.ok() ? *std::move(memory) : nullptr;
}

void Fill(const GuestMemory& memory, uint64_t start, uint64_t size, uint8_t value) {
  ASSERT_TRUE(memory.Slice(GuestAddress(start), size)->Fill(0, value, size));
}

// The one byte that [start, start + size) is full of, or -1.
int Content(const GuestMemory& memory, uint64_t start, uint64_t size) {
  std::vector<uint8_t> bytes(size);
  EXPECT_TRUE(memory.Slice(GuestAddress(start), size)->CopyOut(0, bytes.data(), size));
  const bool same =
      std::all_of(bytes.begin(), bytes.end(), [&](uint8_t byte) { return byte == bytes[0]; });
  return same ? bytes[0] : -1;
}

// How many bytes of [start, start + size) the host holds in memory. Reading them changes that.
uint64_t Resident(const GuestMemory& memory, uint64_t start, uint64_t size) {
  std::vector<unsigned char> pages(size / kPageSize);
  const iovec vector = memory.Slice(GuestAddress(start), size)->AsIovec();
  EXPECT_EQ(mincore(vector.iov_base, size, pages.data()), 0);
  return kPageSize * static_cast<uint64_t>(std::count_if(pages.begin(), pages.end(),
                                                         [](unsigned char p) { return p & 1; }));
}

class Discard : public testing::TestWithParam<Backing> {};

INSTANTIATE_TEST_SUITE_P(Backings, Discard, testing::Values(Backing::kAnonymous, Backing::kMemfd),
                         [](const auto& tested) {
                           return tested.param == Backing::kAnonymous ? "Anonymous" : "Memfd";
                         });

TEST_P(Discard, GivesPagesBackAndTheyReadZero) {
  const auto memory = Make({.size_bytes = 8 * kMib, .backing = GetParam()});
  Fill(*memory, 0, 8 * kMib, 0xaa);
  EXPECT_EQ(Resident(*memory, 0, 8 * kMib), 8 * kMib);
  const auto released = memory->Discard(GuestAddress(kMib), 4 * kMib);
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(*released, 4 * kMib);
  EXPECT_EQ(Resident(*memory, 0, 8 * kMib), 4 * kMib);
  EXPECT_EQ(Content(*memory, kMib, 4 * kMib), 0);
  EXPECT_EQ(Content(*memory, 0, kMib), 0xaa);
  EXPECT_EQ(Content(*memory, 5 * kMib, 3 * kMib), 0xaa);
  // And they can be used again.
  Fill(*memory, kMib, 4 * kMib, 0xbb);
  EXPECT_EQ(Content(*memory, kMib, 4 * kMib), 0xbb);
}

TEST_P(Discard, ClearsThePartsOfPages) {
  const auto memory = Make({.size_bytes = kMib, .backing = GetParam()});
  Fill(*memory, 0, kMib, 0xaa);
  EXPECT_EQ(*memory->Discard(GuestAddress(0x1800), 0x2000), 0x1000u);
  EXPECT_EQ(Content(*memory, 0x1000, 0x800), 0xaa);
  EXPECT_EQ(Content(*memory, 0x1800, 0x2000), 0);
  EXPECT_EQ(Content(*memory, 0x3800, 0x800), 0xaa);
  EXPECT_EQ(*memory->Discard(GuestAddress(0x5001), 4), 0u);
  EXPECT_EQ(Content(*memory, 0x5001, 4), 0);
  EXPECT_EQ(Content(*memory, 0x5005, 8), 0xaa);
  EXPECT_EQ(*memory->Discard(GuestAddress(0x6000), 0), 0u);
  EXPECT_EQ(Content(*memory, 0x6000, 0x1000), 0xaa);
}

TEST_P(Discard, MarksWhatChangedDirty) {
  const auto memory = Make({.size_bytes = kMib, .backing = GetParam(), .track_dirty = true});
  ASSERT_TRUE(memory->Discard(GuestAddress(0x4800), 0x2000).ok());
  for (uint64_t page = 0; page < 16; ++page)
    EXPECT_EQ(memory->dirty_bitmap()->IsDirty(page), page >= 4 && page <= 6) << page;
}

TEST_P(Discard, RefusesWhatIsNotMemory) {
  const auto memory = Make({.size_bytes = kMib, .backing = GetParam()});
  const absl::Status status = memory->Discard(GuestAddress(kMib - 4096), 8192).status();
  EXPECT_TRUE(absl::IsOutOfRange(status));
  EXPECT_EQ(status.message(), "discard: 8192 bytes at guest address 0xff000 are not guest memory");
  EXPECT_FALSE(memory->Discard(GuestAddress(~0ull), 2).ok());
}

TEST_P(Discard, WorksBehindTheMmioHole) {
  const auto memory =
      Make({.size_bytes = kMmioHoleStart.value() + 4 * kMib, .backing = GetParam()});
  const uint64_t high = kMmioHoleEnd.value();
  Fill(*memory, kMmioHoleStart.value() - kMib, kMib, 0xaa);
  Fill(*memory, high, 4 * kMib, 0xbb);
  EXPECT_EQ(*memory->Discard(GuestAddress(high + kMib), kMib), kMib);
  EXPECT_EQ(Resident(*memory, high, 4 * kMib), 3 * kMib);
  EXPECT_EQ(Content(*memory, high + kMib, kMib), 0);
  EXPECT_EQ(Content(*memory, high + 2 * kMib, 2 * kMib), 0xbb);
  EXPECT_EQ(Content(*memory, high, kMib), 0xbb);
  EXPECT_EQ(Content(*memory, kMmioHoleStart.value() - kMib, kMib), 0xaa);
}

TEST_P(Discard, LeavesOtherPagesAloneWhileTheyAreWritten) {
  const auto memory = Make({.size_bytes = 2 * kMib, .backing = GetParam(), .track_dirty = true});
  std::atomic<bool> stop{false};
  std::thread vcpu([&] {
    const GuestSlice mine = *memory->Slice(GuestAddress(kMib), kMib);
    for (uint64_t i = 1; !stop; ++i) {
      const uint64_t at = i * 4096 % kMib;
      EXPECT_TRUE(mine.Store<uint64_t>(at, i));
      EXPECT_EQ(mine.Load<uint64_t>(at), i);
    }
  });
  constexpr uint64_t kSize = 64 << 10;
  for (int i = 0; i < 200; ++i) {
    Fill(*memory, kMib - kSize, kSize, 0xcc);
    EXPECT_TRUE(memory->Discard(GuestAddress(kMib - kSize), kSize).ok());
    EXPECT_EQ(Content(*memory, kMib - kSize, kSize), 0);
  }
  stop = true;
  vcpu.join();
}

// Memory with the file `fd` of 'k's mapped at 1 MiB.
class DiscardOfFiles : public testing::Test {
 protected:
  static constexpr uint64_t kStart = kMib;
  static constexpr uint64_t kSize = 4 * kMib;

  void SetUp() override {
    const int fd = memfd_create("kernel", MFD_CLOEXEC);
    const std::string content(kSize, 'k');
    ASSERT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    memory_ = Make({.size_bytes = 8 * kMib});
    Fill(*memory_, 0, 8 * kMib, 0xaa);
    ASSERT_TRUE(memory_->MapFilePrivate("kernel", fd, 0, kSize, GuestAddress(kStart)).ok());
    close(fd);
    ASSERT_EQ(Content(*memory_, kStart, kSize), 'k');
  }
  // How many mappings of the host guest memory is made of.
  size_t Mappings() const {
    const GuestMemory::Region& region = memory_->regions()[0];
    const auto begin = reinterpret_cast<uintptr_t>(region.hva);
    std::ifstream maps("/proc/self/maps");
    size_t count = 0;
    for (std::string line; std::getline(maps, line);) {
      const uintptr_t start = std::stoull(line, nullptr, 16);
      if (start >= begin && start < begin + region.size_bytes) ++count;
    }
    return count;
  }

  std::unique_ptr<GuestMemory> memory_;
};

TEST_F(DiscardOfFiles, TheFilesBytesDoNotComeBack) {
  Fill(*memory_, kStart, kPageSize, 'w');  // a page that was written to, and others that were not
  EXPECT_EQ(*memory_->Discard(GuestAddress(0), 2 * kMib), 2 * kMib);
  EXPECT_EQ(Resident(*memory_, 0, 2 * kMib), 0u);
  EXPECT_EQ(Content(*memory_, 0, 2 * kMib), 0);
  EXPECT_EQ(Content(*memory_, 2 * kMib, 3 * kMib), 'k');
  // Once more: now it is anonymous memory like any other.
  Fill(*memory_, kStart, kPageSize, 'x');
  EXPECT_EQ(*memory_->Discard(GuestAddress(kStart), kPageSize), kPageSize);
  EXPECT_EQ(Content(*memory_, kStart, kPageSize), 0);
  EXPECT_EQ(*memory_->Discard(GuestAddress(kStart), 7 * kMib), 7 * kMib);
  EXPECT_EQ(Content(*memory_, kStart, 7 * kMib), 0);
  EXPECT_EQ(Content(*memory_, 0, kMib), 0);
}

TEST_F(DiscardOfFiles, PagesOutOfTheMiddleReadZeroHoweverMany) {
  // In a random order, as a guest's allocator gives them.
  std::vector<uint64_t> pages(kSize / kPageSize);
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(1));
  const size_t before = Mappings();
  size_t most = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    const uint64_t at = kStart + pages[i] * kPageSize;
    ASSERT_TRUE(memory_->Discard(GuestAddress(at), kPageSize).ok());
    ASSERT_EQ(Content(*memory_, at, kPageSize), 0);
    if (i % 64 == 0) most = std::max(most, Mappings());
  }
  EXPECT_EQ(Content(*memory_, kStart, kSize), 0);
  EXPECT_GT(most, before + GuestMemory::kMaxFileRanges / 2) << "pages were given back one by one";
  EXPECT_LE(most, before + 3 * GuestMemory::kMaxFileRanges) << "a guest must not use up mappings";
  // The whole can always be given back.
  EXPECT_EQ(*memory_->Discard(GuestAddress(kStart), kSize), kSize);
  EXPECT_EQ(Resident(*memory_, kStart, kSize), 0u);
  EXPECT_LE(Mappings(), before + 4);
}

TEST(DiscardOfHugePages, TransparentOnesAreSplitOrGivenBackWhole) {
  const auto memory = Make({.size_bytes = 8 * kMib, .pages = Pages::kTransparentHuge});
  Fill(*memory, 0, 8 * kMib, 0xaa);
  EXPECT_EQ(*memory->Discard(GuestAddress(kPageSize), 3 * kPageSize), 3 * kPageSize);
  EXPECT_EQ(*memory->Discard(GuestAddress(4 * kMib), 4 * kMib), 4 * kMib);
  EXPECT_EQ(Resident(*memory, 0, 8 * kMib), 4 * kMib - 3 * kPageSize);
  EXPECT_EQ(Content(*memory, 0, kPageSize), 0xaa);
  EXPECT_EQ(Content(*memory, kPageSize, 3 * kPageSize), 0);
  EXPECT_EQ(Content(*memory, 4 * kPageSize, kMib), 0xaa);
  EXPECT_EQ(Content(*memory, 4 * kMib, 4 * kMib), 0);
}

class DiscardOfHugetlb : public testing::TestWithParam<Backing> {};

INSTANTIATE_TEST_SUITE_P(Backings, DiscardOfHugetlb,
                         testing::Values(Backing::kAnonymous, Backing::kMemfd),
                         [](const auto& tested) {
                           return tested.param == Backing::kAnonymous ? "Anonymous" : "Memfd";
                         });

TEST_P(DiscardOfHugetlb, OnlyWholePagesGoBackAndAllReadsZero) {
  auto created = GuestMemory::Create(
      {.size_bytes = 6 * kMib, .backing = GetParam(), .pages = Pages::kHugetlb2M});
  if (!created.ok())
    GTEST_SKIP() << "skipped, because the host has no three free 2 MiB pages: " << created.status();
  const auto memory = *std::move(created);
  EXPECT_EQ(memory->host_page_size(), kHugePageSize);
  // Clearing what nobody has touched touches nothing.
  EXPECT_EQ(*memory->Discard(GuestAddress(kMib), kPageSize), 0u);
  EXPECT_EQ(Resident(*memory, 0, 6 * kMib), 0u);

  Fill(*memory, 0, 6 * kMib, 0xaa);
  EXPECT_EQ(*memory->Discard(GuestAddress(kMib), 4 * kMib), 2 * kMib);
  EXPECT_EQ(Resident(*memory, 0, 6 * kMib), 4 * kMib);
  EXPECT_EQ(Content(*memory, 0, kMib), 0xaa);
  EXPECT_EQ(Content(*memory, kMib, 4 * kMib), 0);
  EXPECT_EQ(Content(*memory, 5 * kMib, kMib), 0xaa);
  EXPECT_EQ(*memory->Discard(GuestAddress(kPageSize), kPageSize), 0u);
  EXPECT_EQ(Content(*memory, kPageSize, kPageSize), 0);
  EXPECT_EQ(Content(*memory, 2 * kPageSize, kPageSize), 0xaa);
}

TEST(GuestMemory, KnowsWhereItsVectorsAre) {
  const auto memory = Make({.size_bytes = kMmioHoleStart.value() + 4 * kMib});
  const GuestAddress high = kMmioHoleEnd + kMib;
  EXPECT_EQ(memory->AddressOf(memory->Slice(high, 4096)->AsIovec()), high);
  EXPECT_EQ(memory->AddressOf(memory->Slice(GuestAddress(5), 1)->AsIovec()), GuestAddress(5));
  iovec vector = memory->Slice(kMmioHoleEnd + (4 * kMib - 4096), 4096)->AsIovec();
  ++vector.iov_len;
  EXPECT_EQ(memory->AddressOf(vector), std::nullopt);
  char mine = 0;
  EXPECT_EQ(memory->AddressOf({&mine, 1}), std::nullopt);
  EXPECT_EQ(memory->AddressOf({nullptr, 0}), std::nullopt);
}

}  // namespace
}  // namespace hearth
