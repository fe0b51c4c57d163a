// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/console_output.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth {

absl::StatusOr<std::unique_ptr<ConsoleOutput>> ConsoleOutput::Create(int fd,
                                                                     base::EventLoop* loop) {
  struct stat info;
  if (fstat(fd, &info) != 0) return base::ErrnoStatus("fstat", "console output");
  Kind kind = Kind::kNonBlocking;
  base::UniqueFd own;
  if (S_ISREG(info.st_mode)) {
    kind = Kind::kFile;
  } else if (S_ISSOCK(info.st_mode)) {
    kind = Kind::kSocket;
  } else {
    const std::string self = absl::StrCat("/proc/self/fd/", fd);
    own.reset(open(self.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!own.valid()) kind = Kind::kPollFirst;
  }
  if (!own.valid()) own.reset(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!own.valid()) return base::ErrnoStatus("fcntl F_DUPFD_CLOEXEC", "console output");
  base::UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.valid()) return base::ErrnoStatus("timerfd_create", "console output");
  const int timer_fd = timer.get();
  std::unique_ptr<ConsoleOutput> output(
      new ConsoleOutput(kind, std::move(own), std::move(timer), loop));
  HEARTH_RETURN_IF_ERROR(
      loop->Add(timer_fd, EPOLLIN, [self = output.get()](uint32_t) { self->OnTimer(); }),
      "console output");
  return output;
}

ConsoleOutput::ConsoleOutput(Kind kind, base::UniqueFd fd, base::UniqueFd timer,
                             base::EventLoop* loop)
    : kind_(kind), fd_(std::move(fd)), timer_(std::move(timer)), loop_(loop) {}

ConsoleOutput::~ConsoleOutput() {
  loop_->Remove(timer_.get());
  if (watching_) loop_->Remove(fd_.get());
  absl::MutexLock lock(&mutex_);
  WriteOut();
}

void ConsoleOutput::Put(uint8_t byte) {
  absl::MutexLock lock(&mutex_);
  if (size_ == kRingBytes) {
    metrics_.dropped_bytes.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  ring_[(begin_ + size_) % kRingBytes] = byte;
  ++size_;
  if (blocked_) return;
  if (byte == '\n' || size_ >= kWriteAtBytes) {
    if (!WriteOut()) {
      blocked_ = true;
      ArmTimer();  // the loop has to take over; the vCPU thread may not touch its watches
    }
  } else if (!timer_armed_) {
    // Left armed when a newline empties the ring: a timer that fires for nothing once in 3 ms is
    // cheaper than disarming and arming it for each line.
    ArmTimer();
  }
}

void ConsoleOutput::ArmTimer() {
  itimerspec spec = {};
  spec.it_value = absl::ToTimespec(kPromptDelay);
  HEARTH_CHECK(timerfd_settime(timer_.get(), 0, &spec, nullptr) == 0);
  timer_armed_ = true;
}

ssize_t ConsoleOutput::WriteOnce(const uint8_t* data, size_t size) {
  switch (kind_) {
    case Kind::kSocket:
      return send(fd_.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::kPollFirst: {
      pollfd poll_fd = {.fd = fd_.get(), .events = POLLOUT, .revents = 0};
      if (poll(&poll_fd, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
      }
      return write(fd_.get(), data, std::min<size_t>(size, PIPE_BUF));
    }
    case Kind::kFile:
    case Kind::kNonBlocking:
      break;
  }
  return write(fd_.get(), data, size);
}

bool ConsoleOutput::WriteOut() {
  while (size_ > 0) {
    const size_t contiguous = std::min(size_, kRingBytes - begin_);
    const ssize_t n = WriteOnce(ring_.data() + begin_, contiguous);
    if (n > 0) {
      metrics_.writes.fetch_add(1, std::memory_order_relaxed);
      metrics_.written_bytes.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
      Discard(static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    metrics_.errors.fetch_add(1, std::memory_order_relaxed);
    metrics_.dropped_bytes.fetch_add(size_, std::memory_order_relaxed);
    Discard(size_);
  }
  return true;
}

void ConsoleOutput::Discard(size_t size) {
  begin_ = (begin_ + size) % kRingBytes;
  size_ -= size;
}

void ConsoleOutput::OnTimer() {
  uint64_t expirations;
  if (read(timer_.get(), &expirations, sizeof(expirations)) < 0) return;
  absl::MutexLock lock(&mutex_);
  timer_armed_ = false;
  blocked_ = !WriteOut();
  if (!blocked_ || watching_) return;
  watching_ = loop_->Add(fd_.get(), EPOLLOUT, [this](uint32_t) { OnWritable(); }).ok();
  if (!watching_) ArmTimer();  // a descriptor without poll support: try again later
}

void ConsoleOutput::OnWritable() {
  absl::MutexLock lock(&mutex_);
  blocked_ = !WriteOut();
  if (blocked_) return;
  loop_->Remove(fd_.get());
  watching_ = false;
}

void ConsoleOutput::Flush(absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  absl::MutexLock lock(&mutex_);
  while (!WriteOut()) {
    const absl::Duration left = deadline - absl::Now();
    pollfd poll_fd = {.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    if (left <= absl::ZeroDuration() ||
        poll(&poll_fd, 1, static_cast<int>(absl::ToInt64Milliseconds(left) + 1)) < 0) {
      if (left > absl::ZeroDuration() && errno == EINTR) continue;
      metrics_.dropped_bytes.fetch_add(size_, std::memory_order_relaxed);
      Discard(size_);
      return;
    }
  }
}

}  // namespace hearth
