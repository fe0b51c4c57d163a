// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/status_macros.h"

namespace hearth::base {

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus("epoll_create1", "");
  UniqueFd wakeup(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.valid()) return ErrnoStatus("eventfd", "");
  epoll_event event = {.events = EPOLLIN, .data = {.fd = wakeup.get()}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wakeup.get(), &event) != 0)
    return ErrnoStatus("epoll_ctl", "eventfd");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wakeup)));
}

absl::Status EventLoop::Add(int fd, uint32_t events, FdCallback callback) {
  epoll_event event = {.events = events, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return ErrnoStatus("epoll_ctl", absl::StrCat("fd ", fd));
  watches_[fd] = std::make_shared<Watch>(Watch{fd, std::move(callback)});
  return absl::OkStatus();
}

absl::Status EventLoop::Modify(int fd, uint32_t events) {
  epoll_event event = {.events = events, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    return ErrnoStatus("epoll_ctl", absl::StrCat("fd ", fd));
  return absl::OkStatus();
}

void EventLoop::Remove(int fd) {
  if (watches_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::Post(Task task) {
  {
    absl::MutexLock lock(&mutex_);
    posted_.push_back(std::move(task));
    if (posted_.size() > 1) return;  // the wake-up is already on its way
  }
  const uint64_t one = 1;
  HEARTH_CHECK(write(wakeup_.get(), &one, sizeof(one)) == sizeof(one));
}

uint64_t EventLoop::PostDelayed(absl::Duration delay, Task task) {
  timers_.push_back({std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(delay),
                     next_timer_id_, std::move(task)});
  return next_timer_id_++;
}

void EventLoop::Cancel(uint64_t timer_id) {
  std::erase_if(timers_, [timer_id](const Timer& timer) { return timer.id == timer_id; });
}

void EventLoop::Quit() {
  {
    absl::MutexLock lock(&mutex_);
    quit_ = true;
  }
  Post([] {});
}

void EventLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    absl::MutexLock lock(&mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

int EventLoop::RunTimersAndGetTimeoutMs() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<Timer> due;
  for (size_t i = 0; i < timers_.size();) {
    if (timers_[i].when > now) {
      ++i;
      continue;
    }
    due.push_back(std::move(timers_[i]));
    timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (Timer& timer : due) timer.task();
  if (timers_.empty()) return -1;
  const auto earliest =
      std::min_element(timers_.begin(), timers_.end(),
                       [](const Timer& a, const Timer& b) { return a.when < b.when; });
  // Rounded up: waking a fraction early would only spin.
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      earliest->when - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()) + 1);
}

void EventLoop::Run() {
  epoll_event events[32];
  for (;;) {
    RunPosted();
    {
      absl::MutexLock lock(&mutex_);
      if (quit_ && posted_.empty()) {
        quit_ = false;
        return;
      }
    }
    const int timeout_ms = timers_.empty() ? -1 : RunTimersAndGetTimeoutMs();
    const int n = epoll_wait(epoll_.get(), events, 32, timeout_ms);
    if (n < 0) {
      HEARTH_CHECK(errno == EINTR);
      continue;
    }
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wakeup_.get()) {
        uint64_t count;
        [[maybe_unused]] const ssize_t drained = read(fd, &count, sizeof(count));
        continue;
      }
      // Looked up anew for each event: an earlier callback of this turn may have removed the watch.
      const auto it = watches_.find(fd);
      if (it == watches_.end()) continue;
      const std::shared_ptr<Watch> watch = it->second;
      watch->callback(events[i].events);
    }
  }
}

}  // namespace hearth::base
