// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/console_input.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth {
namespace {
constexpr size_t kChunkBytes = 1024;
}  // namespace

absl::StatusOr<std::unique_ptr<ConsoleInput>> ConsoleInput::Create(int fd, base::EventLoop* loop) {
  struct stat info;
  if (fstat(fd, &info) != 0) return base::ErrnoStatus("fstat", "console input");
  base::UniqueFd own;
  if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
    const std::string self = absl::StrCat("/proc/self/fd/", fd);
    own.reset(open(self.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  }
  if (!own.valid()) own.reset(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!own.valid()) return base::ErrnoStatus("fcntl F_DUPFD_CLOEXEC", "console input");
  base::UniqueFd space(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!space.valid()) return base::ErrnoStatus("eventfd", "console input");
  return std::unique_ptr<ConsoleInput>(new ConsoleInput(std::move(own), std::move(space), loop));
}

ConsoleInput::ConsoleInput(base::UniqueFd fd, base::UniqueFd space, base::EventLoop* loop)
    : fd_(std::move(fd)), space_(std::move(space)), loop_(loop) {}

ConsoleInput::~ConsoleInput() {
  Watch(false);
  if (serial_ != nullptr) loop_->Remove(space_.get());
}

absl::Status ConsoleInput::Start(Serial16550* serial) {
  HEARTH_CHECK(serial_ == nullptr && serial != nullptr);
  HEARTH_RETURN_IF_ERROR(loop_->Add(space_.get(), EPOLLIN,
                                    [this](uint32_t) {
                                      uint64_t count;
                                      if (read(space_.get(), &count, sizeof(count)) > 0) Pump();
                                    }),
                         "console input");
  serial_ = serial;
  Watch(true);
  if (!pollable_) Pump();
  return absl::OkStatus();
}

void ConsoleInput::NotifySpace() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(space_.get(), &one, sizeof(one));
}

void ConsoleInput::Watch(bool on) {
  if (on == watching_ || !pollable_) return;
  if (!on) {
    // Not merely without events: a hang-up would be reported again and again.
    loop_->Remove(fd_.get());
    watching_ = false;
    return;
  }
  // Files and such cannot be polled: they are always ready.
  watching_ = loop_->Add(fd_.get(), EPOLLIN, [this](uint32_t) { Pump(); }).ok();
  pollable_ = watching_;
}

void ConsoleInput::Pump() {
  uint8_t chunk[kChunkBytes];
  while (!finished_) {
    // Only this thread adds input, so the room can only grow until it is used.
    const size_t room = std::min(kChunkBytes, serial_->input_space());
    if (room == 0) {
      Watch(false);
      if (serial_->AskForSpace()) return;  // NotifySpace() will come
      continue;
    }
    const ssize_t n = read(fd_.get(), chunk, room);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      finished_ = true;
      break;
    }
    serial_->AddInput(absl::MakeConstSpan(chunk, static_cast<size_t>(n)));
    // One read a turn where the loop tells when there is more: a blocking descriptor may have no
    // more.
    if (pollable_) break;
  }
  Watch(!finished_);
}

}  // namespace hearth
