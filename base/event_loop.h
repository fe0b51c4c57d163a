// SPDX-License-Identifier: Apache-2.0
// EventLoop: one thread's loop over io_uring(7) or epoll(7).
//
// The loop belongs to the thread that calls Run(); every method but Post() and Quit() is for that
// thread (or before Run()). Callbacks run on that thread and may add and remove watches, their own
// too. An idle loop wakes for nothing.
//
// A turn: events and completions, posted tasks, timers, turn tasks; then one system call that
// submits what the turn has prepared and waits. Threads that do I/O ask for io_uring and get epoll
// where it is not allowed; the others use epoll, which needs less memory and starts faster.
#ifndef HEARTH_BASE_EVENT_LOOP_H_
#define HEARTH_BASE_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/io_ring.h"
#include "base/unique_fd.h"

namespace hearth::base {

using MonotonicTime = std::chrono::steady_clock::time_point;

class EventLoop;

// Calls back at a deadline, exact to the nanosecond but for the kernel's own latency (the loop's
// thread runs with the least timer slack). Setting it allocates nothing. Loop thread, but any
// thread makes one, and destroys one that is not armed; not to be destroyed by its own callback.
class Timer {
 public:
  Timer(EventLoop* loop, absl::AnyInvocable<void()> callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces a deadline that was set before.
  void Set(MonotonicTime when);
  void Cancel();
  bool armed() const { return armed_; }

 private:
  friend class EventLoop;
  EventLoop* const loop_;
  absl::AnyInvocable<void()> callback_;
  MonotonicTime when_{};
  uint64_t order_ = 0;  // of Set(); breaks ties
  bool armed_ = false;
};

// Work to do once, after all events of a turn: what the events of a turn have in common, such as
// telling the guest. Loop thread, but any thread makes one, and destroys one that is not scheduled;
// allocates nothing; not to be destroyed by its own callback.
class TurnTask {
 public:
  TurnTask(EventLoop* loop, absl::AnyInvocable<void()> callback);
  ~TurnTask();
  TurnTask(const TurnTask&) = delete;
  TurnTask& operator=(const TurnTask&) = delete;

  // Runs the callback at the end of this turn, or of the next if it ran in this one; no effect if
  // it is to run already.
  void Schedule();

 private:
  friend class EventLoop;
  EventLoop* const loop_;
  absl::AnyInvocable<void()> callback_;
  uint64_t last_turn_ = 0;  // in which it ran
  bool scheduled_ = false;
};

class EventLoop {
 public:
  // Gets the epoll events that are ready (EPOLLIN, EPOLLHUP, ...).
  using FdCallback = absl::AnyInvocable<void(uint32_t events)>;
  using Task = absl::AnyInvocable<void()>;

  struct Options {
    // Try io_uring first.
    bool io_uring = false;
    // Of the submission queue; docs/io.md says why so many.
    unsigned ring_entries = 128;
    // Tests ask for less than the kernel has.
    IoRing::Mode ring_mode = IoRing::Mode::kDeferTaskrun;
  };

  // Over epoll.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create() { return Create(Options{}); }
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create(const Options& options);
  // On the loop's thread, or after its end: see ~IoRing() for what is in flight then. All its
  // Timers and TurnTasks have gone before (checked).
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // nullptr where the loop runs over epoll.
  IoRing* ring() { return ring_.get(); }
  // "io_uring", "epoll", or "epoll (WHY)", such as "epoll (io_uring_queue_init_params: Function not
  // implemented)".
  const std::string& backend() const { return backend_; }

  // Watches `fd` (which the caller owns and keeps open until Remove()) for `events`: EPOLLIN,
  // EPOLLOUT, EPOLLPRI, EPOLLRDHUP; EPOLLHUP and EPOLLERR are told unasked. Level-triggered, or
  // edge-triggered with EPOLLET, which is the cheaper one: an eventfd that is watched so need never
  // be read. Edges may be told as one, and may be told where there was none, but are never lost;
  // what is there already is told as an edge. One watch an fd. An fd that the kernel cannot poll
  // gets EPOLLERR once.
  absl::Status Add(int fd, uint32_t events, FdCallback callback);
  // Changes the events of a watch, and tells anew what is there.
  absl::Status Modify(int fd, uint32_t events);
  // After this the callback does not run again, not even for events already taken from the kernel,
  // and the fd may be closed and its number used again. io_uring lets go of the open file itself
  // only in the turn's system call.
  void Remove(int fd);

  // Runs `task` once on the loop's thread, in the order of the calls. Any thread; also before
  // Run().
  void Post(Task task) ABSL_LOCKS_EXCLUDED(mutex_);
  // Runs `task` once, `delay` from now, whatever is done to the wall clock. Loop thread. Returns an
  // id for Cancel().
  uint64_t PostDelayed(absl::Duration delay, Task task);
  void Cancel(uint64_t timer_id);

  // Asked for work while the loop would otherwise sleep.
  class Poller {
   public:
    virtual ~Poller() = default;
    // True if there was something to do (and it is done).
    virtual bool Poll() = 0;

   private:
    friend class EventLoop;
    MonotonicTime until_{};
  };
  // From now until `until` the loop does not sleep: it asks `poller` again and again, looks for
  // completions without a system call, and enters the kernel only for what was prepared. For
  // devices that expect the next request within microseconds. A later call moves the end; a time
  // that has passed ends it, and the poller is not told. The poller must outlive its spinning:
  // StopSpinning() before it goes. Over epoll the loop looks for events every 20 us, with a system
  // call.
  void SpinUntil(Poller* poller, MonotonicTime until);
  void StopSpinning(Poller* poller);

  // Makes the calling thread the loop's: enables the ring and sets the timer slack. Run() does it
  // if it was not done; a thread that loads a seccomp filter does it before.
  absl::Status Bind();
  // Until Quit(). Runs the tasks posted before Quit() first.
  void Run();
  // For tests and fuzzers: turns until `done` (asked before each), `limit` or Quit(); true if done.
  // A limit of 0: only what is ready now, and what comes of it at once.
  bool RunUntil(absl::FunctionRef<bool()> done, std::chrono::nanoseconds limit);
  // Any thread.
  void Quit();

 private:
  friend class Timer;
  friend class TurnTask;
  struct Watch;
  class Poll;
  struct Delayed;

  EventLoop() = default;
  absl::Status Init(const Options& options);

  // --- event_loop.cc: the turn.
  // True if there was something to do.
  bool Turn(std::chrono::nanoseconds limit);
  // How long the loop may sleep.
  std::chrono::nanoseconds WaitTime(std::chrono::nanoseconds limit) const;
  // Asks the pollers until one of them has worked (true), or until the loop has other things to do
  // or nobody spins any more (false).
  bool Spin(std::chrono::nanoseconds wait);
  bool AskPollers(MonotonicTime now);
  // The turn's system call. Under epoll it leaves the events in ready_.
  void Enter(std::chrono::nanoseconds wait);
  void EnterEpoll(std::chrono::nanoseconds wait);
  bool RunPosted() ABSL_LOCKS_EXCLUDED(mutex_);
  bool RunTimers();
  bool RunTurnTasks();

  // --- event_loop_watch.cc: watches.
  bool RunEvents();
  void OnPoll(Watch* watch, int32_t result);
  void Arm(Watch* watch);
  void Disarm(Watch* watch);

  static constexpr int kMaxEvents = 64;

  std::string backend_;
  UniqueFd wakeup_;  // an eventfd

  // Exactly one of these.
  UniqueFd epoll_;
  std::unique_ptr<IoRing> ring_;

  // Of epoll.
  bool has_epoll_pwait2_ = true;
  int ready_count_ = 0;
  std::unique_ptr<epoll_event[]> ready_;

  // Of io_uring. All polls; one is free, or in the kernel. It may still be there when its watch has
  // gone.
  std::vector<std::unique_ptr<Poll>> polls_;
  std::vector<Poll*> free_polls_;

  std::unordered_map<int, std::unique_ptr<Watch>> watches_;
  // Removed while events run: their callback may be the one that runs, or be among the events
  // taken. They go when the events are done.
  std::vector<std::unique_ptr<Watch>> removed_;
  bool in_events_ = false;

  // The next is last. Has room for as many as a machine has from the start, as the lists of turn
  // tasks have.
  std::vector<Timer*> timers_;
  // How many exist; any thread makes them.
  std::atomic<size_t> timer_count_{0};
  uint64_t timer_order_ = 0;
  std::vector<std::unique_ptr<Delayed>> delayed_;
  uint64_t next_delayed_id_ = 1;

  std::vector<TurnTask*> turn_tasks_, next_turn_tasks_;
  std::atomic<size_t> turn_task_count_{0};
  uint64_t turn_ = 1;

  std::vector<Poller*> pollers_;
  MonotonicTime next_look_{};  // of a spinning epoll loop into the kernel

  bool bound_ = false;
  bool quit_ = false;

  // kPosted: posted_ is not empty. kAsleep: whoever sets kPosted writes to wakeup_.
  static constexpr uint32_t kPosted = 1;
  static constexpr uint32_t kAsleep = 2;
  std::atomic<uint32_t> state_{0};
  absl::Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  std::vector<Task> running_;  // of RunPosted(); keeps its memory
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_EVENT_LOOP_H_
