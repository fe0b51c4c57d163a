// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

namespace hearth::base {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(LogLevel, ParsesAnyCase) {
  EXPECT_EQ(ParseLogLevel("warn"), LogLevel::kWarning);
  EXPECT_EQ(ParseLogLevel("WARNING"), LogLevel::kWarning);
  EXPECT_EQ(ParseLogLevel("off"), LogLevel::kOff);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
  EXPECT_EQ(LogLevelName(LogLevel::kWarning), "Warning");
}

TEST(Log, WritesOneEscapedLineWithLevelAndOrigin) {
  const std::string path = testing::TempDir() + "/log_test.log";
  unlink(path.c_str());
  ASSERT_TRUE(SetLogPath(path).ok());
  SetLogOptions(
      {.instance_id = "vm1", .level = LogLevel::kInfo, .show_level = true, .show_origin = true});
  HEARTH_LOG(kInfo, "two\nlines ", 7);
  HEARTH_LOG(kDebug, "not this");
  const std::string text = Slurp(path);
  EXPECT_NE(text.find("[vm1:"), std::string::npos);
  EXPECT_NE(text.find(":Info:base/log_test.cc:"), std::string::npos);
  EXPECT_NE(text.find("] two\\x0alines 7\n"), std::string::npos);
  EXPECT_EQ(text.find("not this"), std::string::npos);
}

TEST(Log, MayChangeWhileOtherThreadsLog) {
  std::atomic<bool> stop = false;
  std::thread logger([&stop] {
    while (!stop) HEARTH_LOG(kError, "a line");
  });
  for (int i = 0; i < 50; ++i) {
    const std::string path = absl::StrCat(testing::TempDir(), "/log_test_", i % 2, ".log");
    ASSERT_TRUE(SetLogPath(path).ok());
    SetLogOptions({.instance_id = std::string(100, 'x'), .show_level = i % 2 == 0});
  }
  stop = true;
  logger.join();
  EXPECT_EQ(GetLogOptions().instance_id, std::string(100, 'x'));
}

TEST(Log, FullPipeLosesLinesInsteadOfBlocking) {
  const std::string path = testing::TempDir() + "/log_test.fifo";
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(SetLogPath(path).ok());  // nobody reads yet
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(SetLogPath(path).ok());
  const uint64_t before = LostLogLines();
  for (int i = 0; i < 2000; ++i) HEARTH_LOG(kError, std::string(200, 'x'));
  EXPECT_GT(LostLogLines(), before);
  close(reader);
}

}  // namespace
}  // namespace hearth::base
