// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/console_input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "devices/platform/irq_counter.h"

namespace hearth {
namespace {

class ConsoleInputTest : public testing::Test {
 protected:
  ConsoleInputTest() : loop_(*base::EventLoop::Create()) {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    reader_.reset(fds[0]);
    writer_.reset(fds[1]);
  }
  void Open(int fd) {
    input_ = *ConsoleInput::Create(fd, loop_.get());
    serial_ = std::make_unique<Serial16550>(
        MakeIrqLine(),
        Serial16550::Options{.on_input_space = [input = input_.get()] { input->NotifySpace(); }});
    ASSERT_TRUE(input_->Start(serial_.get()).ok());
  }
  void RunLoopFor(absl::Duration time) {
    loop_->PostDelayed(time, [this] { loop_->Quit(); });
    loop_->Run();
  }
  std::string ReadGuest() {
    std::string all;
    for (;;) {
      uint8_t byte = 0;
      serial_->Read(5, absl::MakeSpan(&byte, 1));
      if ((byte & 1) == 0) return all;
      serial_->Read(0, absl::MakeSpan(&byte, 1));
      all += static_cast<char>(byte);
    }
  }

  std::unique_ptr<base::EventLoop> loop_;
  base::UniqueFd reader_, writer_;
  std::unique_ptr<Serial16550> serial_;
  std::unique_ptr<ConsoleInput> input_;
};

TEST_F(ConsoleInputTest, FeedsWhatIsTypedAndSeesTheEnd) {
  Open(reader_.get());
  ASSERT_EQ(write(writer_.get(), "ls\n", 3), 3);
  RunLoopFor(absl::Milliseconds(10));
  EXPECT_EQ(ReadGuest(), "ls\n");
  EXPECT_FALSE(input_->finished());
  writer_.reset();
  RunLoopFor(absl::Milliseconds(10));
  EXPECT_TRUE(input_->finished());
}

TEST_F(ConsoleInputTest, AGuestThatDoesNotReadHoldsTheWriterUp) {
  Open(reader_.get());
  std::string sent;
  for (int i = 0; sent.size() < 20'000; ++i) sent += std::to_string(i) + "\n";
  ASSERT_EQ(write(writer_.get(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  writer_.reset();
  RunLoopFor(absl::Milliseconds(20));
  EXPECT_EQ(serial_->input_space(), 0u);
  EXPECT_FALSE(input_->finished());
  std::string received;
  for (int i = 0; i < 100 && !input_->finished(); ++i) {
    received += ReadGuest();
    RunLoopFor(absl::Milliseconds(2));
  }
  received += ReadGuest();
  EXPECT_EQ(received, sent);
}

TEST_F(ConsoleInputTest, ReadsAFileAsTheGuestAsks) {
  const base::UniqueFd file(memfd_create("input", MFD_CLOEXEC));
  const std::string sent(10'000, 'f');
  ASSERT_EQ(write(file.get(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  ASSERT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
  Open(file.get());
  std::string received;
  for (int i = 0; i < 100 && received.size() < sent.size(); ++i) {
    received += ReadGuest();
    RunLoopFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(received, sent);
  EXPECT_TRUE(input_->finished());
}

TEST_F(ConsoleInputTest, TheNullDeviceEndsAtOnce) {
  const base::UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Open(null.get());
  RunLoopFor(absl::Milliseconds(5));
  EXPECT_TRUE(input_->finished());
}

TEST_F(ConsoleInputTest, LeavesTheFlagsOfItsCallersDescriptorAlone) {
  Open(reader_.get());
  EXPECT_FALSE(fcntl(reader_.get(), F_GETFL) & O_NONBLOCK);
}

}  // namespace
}  // namespace hearth
