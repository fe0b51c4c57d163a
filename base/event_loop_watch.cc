// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop_watch.h"

#include <sys/epoll.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "base/status_macros.h"

namespace hearth::base {
namespace {

// What a watch is told of without asking.
constexpr uint32_t kAlways = EPOLLERR | EPOLLHUP;

absl::Status WatchError(int fd, int error) {
  return ErrnoStatus("epoll_ctl", absl::StrCat("fd ", fd), error);
}

// What EPOLL_CTL_ADD would refuse and a poll of io_uring only reports later, or not at all.
int CheckWatchable(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? EPERM : 0;
}

}  // namespace

absl::Status EventLoop::Add(int fd, uint32_t events, FdCallback callback) {
  if (watches_.contains(fd)) return WatchError(fd, EEXIST);
  std::unique_ptr<Watch> watch(new Watch{fd, events, std::move(callback)});
  if (ring_ != nullptr) {
    if (const int error = CheckWatchable(fd); error != 0) return WatchError(fd, error);
    if (bound_) Arm(watch.get());
  } else {
    epoll_event event = {.events = events, .data = {.ptr = watch.get()}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return WatchError(fd, errno);
  }
  watches_[fd] = std::move(watch);
  return absl::OkStatus();
}

absl::Status EventLoop::Modify(int fd, uint32_t events) {
  const auto it = watches_.find(fd);
  if (it == watches_.end()) return WatchError(fd, ENOENT);
  Watch* const watch = it->second.get();
  if (ring_ == nullptr) {
    epoll_event event = {.events = events, .data = {.ptr = watch}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) return WatchError(fd, errno);
  }
  watch->events = events;
  watch->muted = false;
  if (ring_ != nullptr && bound_) {
    Disarm(watch);
    Arm(watch);
  }
  return absl::OkStatus();
}

void EventLoop::Remove(int fd) {
  auto node = watches_.extract(fd);
  if (node.empty()) return;
  std::unique_ptr<Watch> watch = std::move(node.mapped());
  watch->removed = true;
  if (ring_ != nullptr) {
    Disarm(watch.get());
  } else {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
  if (in_events_) removed_.push_back(std::move(watch));
}

bool EventLoop::RunEvents() {
  in_events_ = true;
  const bool any = ring_ != nullptr ? ring_->Reap() : ready_count_ > 0;
  for (int i = 0; i < ready_count_; ++i) {
    Watch* const watch = static_cast<Watch*>(ready_[i].data.ptr);
    if (!watch->removed) watch->callback(ready_[i].events);
  }
  ready_count_ = 0;
  in_events_ = false;
  // What a callback holds may call the loop when it goes.
  std::exchange(removed_, {}).clear();
  return any;
}

void EventLoop::Arm(Watch* watch) {
  if (free_polls_.empty()) {
    polls_.push_back(std::make_unique<Poll>(this));
    free_polls_.reserve(polls_.size());
    free_polls_.push_back(polls_.back().get());
  }
  Poll* const poll = free_polls_.back();
  free_polls_.pop_back();
  poll->Start(watch);
}

void EventLoop::Disarm(Watch* watch) {
  if (watch->poll != nullptr) std::exchange(watch->poll, nullptr)->Abandon();
}

void EventLoop::Poll::Start(Watch* watch) {
  watch_ = watch;
  watch->poll = this;
  multishot_ = (watch->events & EPOLLET) || watch->muted;
  const uint32_t events = watch->events & ~uint32_t{EPOLLET};
  if (multishot_) {
    loop_->ring_->PollMultishot(watch->fd, events, this);
  } else {
    loop_->ring_->PollOnce(watch->fd, events, this);
  }
}

void EventLoop::Poll::Abandon() {
  watch_ = nullptr;
  loop_->ring_->Cancel(this);
}

void EventLoop::Poll::OnComplete(int32_t result) {
  Watch* const watch = watch_;
  if (result < 0 || !multishot_) {
    loop_->free_polls_.push_back(this);
    watch_ = nullptr;
    if (watch != nullptr) watch->poll = nullptr;
  }
  if (watch != nullptr) loop_->OnPoll(watch, result);
}

void EventLoop::OnPoll(Watch* watch, int32_t result) {
  if (result == -ENOBUFS || result == -ENOMEM) return Arm(watch);
  // The fd cannot be polled. Polled again it would fail again, for ever; Modify() tries.
  if (result < 0) return watch->callback(EPOLLERR);

  const uint32_t events = static_cast<uint32_t>(result) & (watch->events | kAlways);
  if (events == 0) {
    watch->muted = !(watch->events & EPOLLET);
  } else {
    if (std::exchange(watch->muted, false)) Disarm(watch);
    watch->callback(events);
  }
  if (!watch->removed && watch->poll == nullptr) Arm(watch);
}

}  // namespace hearth::base
