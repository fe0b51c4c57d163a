// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory/dirty_bitmap.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace hearth {
namespace {

TEST(DirtyBitmap, MarksEveryPageThatARangeTouches) {
  DirtyBitmap bitmap(130);
  bitmap.Mark(4095, 2);
  bitmap.Mark(129 * 4096, 4096);
  bitmap.Mark(50 * 4096, 0);
  EXPECT_TRUE(bitmap.IsDirty(0));
  EXPECT_TRUE(bitmap.IsDirty(1));
  EXPECT_FALSE(bitmap.IsDirty(2));
  EXPECT_FALSE(bitmap.IsDirty(50));
  EXPECT_TRUE(bitmap.IsDirty(129));
  EXPECT_FALSE(bitmap.IsDirty(130));
  EXPECT_EQ(bitmap.TakeAndClear(), (std::vector<uint64_t>{3, 0, 2}));
  EXPECT_EQ(bitmap.TakeAndClear(), (std::vector<uint64_t>{0, 0, 0}));
}

TEST(DirtyBitmap, LosesNoMarkOfConcurrentWriters) {
  DirtyBitmap bitmap(64 * 64);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&bitmap, t] {
      for (uint64_t page = t; page < 64 * 64; page += 4) bitmap.Mark(page * 4096, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const uint64_t word : bitmap.TakeAndClear()) EXPECT_EQ(word, ~0ull);
}

}  // namespace
}  // namespace hearth
