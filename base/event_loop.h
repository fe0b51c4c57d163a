// SPDX-License-Identifier: Apache-2.0
// EventLoop: one thread's loop over epoll(7).
//
// The loop belongs to the thread that calls Run(); every method but Post() and Quit() is for that
// thread (or before Run()). Callbacks run on that thread and may add and remove watches, their own
// too. An idle loop wakes for nothing.
#ifndef HEARTH_BASE_EVENT_LOOP_H_
#define HEARTH_BASE_EVENT_LOOP_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace hearth::base {

class EventLoop {
 public:
  // Gets the epoll events that are ready (EPOLLIN, EPOLLHUP, ...).
  using FdCallback = absl::AnyInvocable<void(uint32_t events)>;
  using Task = absl::AnyInvocable<void()>;

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Watches `fd` (which the caller owns and keeps open until Remove()) for `events`,
  // level-triggered. One watch an fd.
  absl::Status Add(int fd, uint32_t events, FdCallback callback);
  // Changes the events of a watch; 0 keeps only EPOLLHUP and EPOLLERR.
  absl::Status Modify(int fd, uint32_t events);
  // After this the callback does not run again, not even for events already taken from the kernel.
  void Remove(int fd);

  // Runs `task` once on the loop's thread, in the order of the calls. Any thread; also before
  // Run().
  void Post(Task task) ABSL_LOCKS_EXCLUDED(mutex_);
  // Runs `task` once, `delay` from now, whatever is done to the wall clock. Loop thread. Returns an
  // id for Cancel().
  uint64_t PostDelayed(absl::Duration delay, Task task);
  void Cancel(uint64_t timer_id);

  // Until Quit(). Runs the tasks posted before Quit() first.
  void Run();
  // Any thread.
  void Quit();

 private:
  struct Watch {
    int fd;
    FdCallback callback;
  };
  struct Timer {
    std::chrono::steady_clock::time_point when;
    uint64_t id;
    Task task;
  };

  EventLoop(UniqueFd epoll, UniqueFd wakeup)
      : epoll_(std::move(epoll)), wakeup_(std::move(wakeup)) {}
  void RunPosted() ABSL_LOCKS_EXCLUDED(mutex_);
  int RunTimersAndGetTimeoutMs();

  const UniqueFd epoll_;
  const UniqueFd wakeup_;
  // Owned by shared_ptr so that a callback may remove its own watch while it runs.
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::vector<Timer> timers_;  // few; searched linearly
  uint64_t next_timer_id_ = 1;

  absl::Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  bool quit_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_EVENT_LOOP_H_
