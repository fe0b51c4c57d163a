// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/console_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/string_view.h"

namespace hearth {
namespace {

class ConsoleOutputTest : public testing::Test {
 protected:
  ConsoleOutputTest() {
    signal(SIGPIPE, SIG_IGN);
    loop_ = *base::EventLoop::Create();
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    reader_.reset(fds[0]);
    writer_.reset(fds[1]);
  }
  void Open(int fd) {
    auto output = ConsoleOutput::Create(fd, loop_.get());
    ASSERT_TRUE(output.ok()) << output.status();
    output_ = *std::move(output);
  }
  void Put(absl::string_view text) {
    for (const char c : text) output_->Put(static_cast<uint8_t>(c));
  }
  // What is in the pipe now.
  std::string Drain() {
    std::string all;
    char buffer[4096];
    pollfd readable = {.fd = reader_.get(), .events = POLLIN, .revents = 0};
    while (poll(&readable, 1, 0) > 0) {
      const ssize_t n = read(reader_.get(), buffer, sizeof(buffer));
      if (n <= 0) break;
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }
  void RunLoopFor(absl::Duration time) {
    loop_->PostDelayed(time, [this] { loop_->Quit(); });
    loop_->Run();
  }

  std::unique_ptr<base::EventLoop> loop_;
  base::UniqueFd reader_, writer_;
  std::unique_ptr<ConsoleOutput> output_;
};

TEST_F(ConsoleOutputTest, ALineIsOneWriteAndNeedsNoLoop) {
  Open(writer_.get());
  Put("Hello, world");
  EXPECT_EQ(Drain(), "");
  Put("\n");
  EXPECT_EQ(Drain(), "Hello, world\n");
  EXPECT_EQ(output_->metrics().writes, 1u);
  EXPECT_EQ(output_->metrics().written_bytes, 13u);
}

TEST_F(ConsoleOutputTest, APromptFollowsSoon) {
  Open(writer_.get());
  Put("login: ");
  RunLoopFor(absl::Milliseconds(50));
  EXPECT_EQ(Drain(), "login: ");
  EXPECT_EQ(output_->metrics().writes, 1u);
  Put("x");  // armed again
  RunLoopFor(absl::Milliseconds(50));
  EXPECT_EQ(Drain(), "x");
}

TEST_F(ConsoleOutputTest, ManyBytesWithoutANewlineGoOutInBlocks) {
  Open(writer_.get());
  Put(std::string(3 * ConsoleOutput::kWriteAtBytes, 'x'));
  EXPECT_EQ(output_->metrics().writes, 3u);
}

TEST_F(ConsoleOutputTest, LeavesTheFlagsOfItsCallersDescriptorAlone) {
  Open(writer_.get());
  Put("x\n");
  EXPECT_FALSE(fcntl(writer_.get(), F_GETFL) & O_NONBLOCK);
}

TEST_F(ConsoleOutputTest, AReaderThatSleepsLosesTheNewestAndNoOrder) {
  Open(writer_.get());
  // More than pipe (64 KiB) and ring together: nobody reads, nothing blocks.
  constexpr size_t kLines = 20'000;
  std::string sent;
  for (size_t i = 0; i < kLines; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    sent += line;
    Put(line);
  }
  const uint64_t dropped = output_->metrics().dropped_bytes;
  EXPECT_GT(dropped, 0u);
  std::string received;
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t n; (n = read(reader_.get(), buffer, sizeof(buffer))) > 0;) {
      received.append(buffer, static_cast<size_t>(n));
    }
  });
  RunLoopFor(absl::Milliseconds(200));  // takes over by EPOLLOUT
  output_.reset();
  writer_.reset();
  reader.join();
  EXPECT_EQ(received.size() + dropped, sent.size());
  EXPECT_EQ(received, sent.substr(0, received.size()));
}

TEST_F(ConsoleOutputTest, FlushWritesTheRestButDoesNotWaitForever) {
  Open(writer_.get());
  Put("no newline");
  output_->Flush();
  EXPECT_EQ(Drain(), "no newline");
  Put(std::string(100 << 10, 'x'));
  const absl::Time start = absl::Now();
  output_->Flush(absl::Milliseconds(20));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_GT(output_->metrics().dropped_bytes, 0u);
}

TEST_F(ConsoleOutputTest, DestructionWritesTheRest) {
  Open(writer_.get());
  Put("no newline");
  output_.reset();
  EXPECT_EQ(Drain(), "no newline");
}

TEST_F(ConsoleOutputTest, FlushWaitsForASlowReader) {
  Open(writer_.get());
  const std::string sent(100 << 10, 'x');
  Put(sent);
  std::string received;
  std::thread reader([&] {
    char buffer[4096];
    while (received.size() < sent.size()) {
      const ssize_t n = read(reader_.get(), buffer, sizeof(buffer));
      if (n <= 0) break;
      received.append(buffer, static_cast<size_t>(n));
    }
  });
  output_->Flush(absl::Seconds(30));
  reader.join();
  EXPECT_EQ(received, sent);
  EXPECT_EQ(output_->metrics().dropped_bytes, 0u);
}

TEST_F(ConsoleOutputTest, AReaderThatIsGoneIsCounted) {
  Open(writer_.get());
  reader_.reset();
  Put("to nobody\n");
  EXPECT_EQ(output_->metrics().errors, 1u);
  EXPECT_EQ(output_->metrics().dropped_bytes, 10u);
}

TEST_F(ConsoleOutputTest, AFileIsWrittenAtTheSharedPosition) {
  const base::UniqueFd file(memfd_create("console", MFD_CLOEXEC));
  ASSERT_EQ(write(file.get(), "before\n", 7), 7);
  Open(file.get());
  Put("guest\n");
  ASSERT_EQ(write(file.get(), "after\n", 6), 6);
  char buffer[32] = {};
  ASSERT_EQ(pread(file.get(), buffer, sizeof(buffer), 0), 19);
  EXPECT_STREQ(buffer, "before\nguest\nafter\n");
}

TEST_F(ConsoleOutputTest, ASocketNeverBlocks) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  const base::UniqueFd near(fds[0]), far(fds[1]);
  Open(near.get());
  Put("hello\n");
  char buffer[16] = {};
  EXPECT_EQ(read(far.get(), buffer, sizeof(buffer)), 6);
  Put(std::string(1 << 20, '\n'));
  EXPECT_GT(output_->metrics().dropped_bytes, 0u);
}

TEST_F(ConsoleOutputTest, ATerminalThatIsStoppedNeverBlocks) {
  const base::UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(master.valid());
  if (grantpt(master.get()) != 0 || unlockpt(master.get()) != 0) GTEST_SKIP() << "no terminals";
  char slave_name[64];
  ASSERT_EQ(ptsname_r(master.get(), slave_name, sizeof(slave_name)), 0);
  const base::UniqueFd slave(open(slave_name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave.valid()) GTEST_SKIP() << "skipped, because " << slave_name << " cannot be opened";
  Open(slave.get());
  for (int i = 0; i < 20'000; ++i) Put("nobody reads\n");
  EXPECT_GT(output_->metrics().dropped_bytes, 0u);
  EXPECT_FALSE(fcntl(slave.get(), F_GETFL) & O_NONBLOCK);
}

TEST_F(ConsoleOutputTest, TheNullDeviceTakesEverything) {
  const base::UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  Open(null.get());
  for (int i = 0; i < 10'000; ++i) Put("gone\n");
  EXPECT_EQ(output_->metrics().dropped_bytes, 0u);
}

TEST_F(ConsoleOutputTest, TwoWritersAndTheLoopTogether) {
  Open(writer_.get());
  constexpr int kBytes = 40'000;
  std::string received;
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t n; (n = read(reader_.get(), buffer, sizeof(buffer))) > 0;) {
      received.append(buffer, static_cast<size_t>(n));
    }
  });
  const auto work = [&](char letter) {
    for (int i = 0; i < kBytes; ++i) {
      output_->Put(static_cast<uint8_t>(i % 50 == 0 ? '\n' : letter));
    }
  };
  std::thread a(work, 'a'), b(work, 'b');
  RunLoopFor(absl::Milliseconds(100));
  a.join();
  b.join();
  output_->Flush(absl::Seconds(30));
  const uint64_t dropped = output_->metrics().dropped_bytes;
  output_.reset();
  writer_.reset();
  reader.join();
  EXPECT_EQ(received.size() + dropped, 2u * kBytes);
}

}  // namespace
}  // namespace hearth
