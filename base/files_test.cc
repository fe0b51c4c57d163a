// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>

namespace hearth::base {
namespace {

std::string TempFile(const std::string& content) {
  const std::string path = testing::TempDir() + "/files_test_file";
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(Files, ReadsAWholeFileUpToTheLimit) {
  const std::string path = TempFile("hello");
  EXPECT_EQ(*ReadFile(path, 5), "hello");
  const absl::Status too_big = ReadFile(path, 4).status();
  EXPECT_EQ(too_big.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(too_big.message().find(path), std::string::npos);
}

TEST(Files, ErrorsNameThePath) {
  EXPECT_EQ(Open("/nowhere/at/all", O_RDONLY).status().message(),
            "open /nowhere/at/all: No such file or directory");
}

TEST(Files, ShortReadIsAnError) {
  const std::string path = TempFile("abc");
  auto fd = Open(path, O_RDONLY);
  ASSERT_TRUE(fd.ok());
  char data[4];
  EXPECT_TRUE(PreadExactly(fd->get(), data, 2, 1).ok());
  EXPECT_EQ(data[0], 'b');
  EXPECT_EQ(PreadExactly(fd->get(), data, 4, 0).code(), absl::StatusCode::kOutOfRange);
}

TEST(Files, OnlyRegularFilesHaveASize) {
  auto null = Open("/dev/null", O_RDONLY);
  ASSERT_TRUE(null.ok());
  EXPECT_FALSE(RegularFileSize(null->get(), "/dev/null").ok());
  const std::string path = TempFile("abcd");
  auto fd = Open(path, O_RDONLY);
  EXPECT_EQ(*RegularFileSize(fd->get(), path), 4u);
}

}  // namespace
}  // namespace hearth::base
