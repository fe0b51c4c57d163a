// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/event_loop_watch.h"
#include "base/status_macros.h"

namespace hearth::base {
namespace {

using std::chrono::nanoseconds;

// While an epoll loop spins it looks for events so often; each look is a system call.
constexpr nanoseconds kEpollInterval = std::chrono::microseconds(20);
// Turns of a RunUntil() that may not wait: enough for what is ready to come to its end, and an end
// for what is always ready.
constexpr int kMaxReadyTurns = 100;
// Timers and turn tasks that there is room for before a list grows.
constexpr size_t kListEntries = 64;

MonotonicTime Now() { return std::chrono::steady_clock::now(); }

// `time` + `delay`, at most the end of time.
MonotonicTime After(MonotonicTime time, nanoseconds delay) {
  return delay < MonotonicTime::max() - time ? time + delay : MonotonicTime::max();
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

// A task of PostDelayed().
struct EventLoop::Delayed {
  Delayed(EventLoop* loop, uint64_t id, Task task)
      : id(id), timer(loop, [this, task = std::move(task)]() mutable {
          task();
          done = true;
        }) {}
  const uint64_t id;
  bool done = false;
  Timer timer;
};

Timer::Timer(EventLoop* loop, absl::AnyInvocable<void()> callback)
    : loop_(loop), callback_(std::move(callback)) {
  ++loop_->timer_count_;
}

Timer::~Timer() {
  Cancel();
  --loop_->timer_count_;
}

void Timer::Set(MonotonicTime when) {
  Cancel();
  when_ = when;
  order_ = ++loop_->timer_order_;
  armed_ = true;
  // Before all that are due earlier, and those set before for the same time.
  const auto later = [](const Timer* a, const Timer* b) { return a->when_ > b->when_; };
  loop_->timers_.insert(std::lower_bound(loop_->timers_.begin(), loop_->timers_.end(), this, later),
                        this);
}

void Timer::Cancel() {
  if (!armed_) return;
  armed_ = false;
  std::erase(loop_->timers_, this);
}

TurnTask::TurnTask(EventLoop* loop, absl::AnyInvocable<void()> callback)
    : loop_(loop), callback_(std::move(callback)) {
  ++loop_->turn_task_count_;
}

TurnTask::~TurnTask() {
  --loop_->turn_task_count_;
  if (!scheduled_) return;
  // The list may be running: the entry stays.
  for (auto* list : {&loop_->turn_tasks_, &loop_->next_turn_tasks_})
    std::replace(list->begin(), list->end(), this, static_cast<TurnTask*>(nullptr));
}

void TurnTask::Schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  (last_turn_ == loop_->turn_ ? loop_->next_turn_tasks_ : loop_->turn_tasks_).push_back(this);
}

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create(const Options& options) {
  std::unique_ptr<EventLoop> loop(new EventLoop);
  HEARTH_RETURN_IF_ERROR(loop->Init(options));
  return loop;
}

absl::Status EventLoop::Init(const Options& options) {
  timers_.reserve(kListEntries);
  turn_tasks_.reserve(kListEntries);
  next_turn_tasks_.reserve(kListEntries);
  wakeup_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup_.valid()) return ErrnoStatus("eventfd", "");
  backend_ = "epoll";
  if (options.io_uring) {
    auto ring = IoRing::Create(options.ring_entries, options.ring_mode);
    if (ring.ok()) {
      backend_ = "io_uring";
      ring_ = *std::move(ring);
    } else {
      backend_ = absl::StrCat("epoll (", ring.status().message(), ")");
    }
  }
  if (ring_ == nullptr) {
    epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_.valid()) return ErrnoStatus("epoll_create1", "");
    ready_ = std::make_unique<epoll_event[]>(kMaxEvents);
  }
  return Add(wakeup_.get(), EPOLLIN | EPOLLET, [](uint32_t) {});
}

EventLoop::~EventLoop() {
  // While what it may still complete, and the watches, are there.
  ring_.reset();
  // What callbacks hold may call the loop when it goes: with empty lists, but not half-way.
  std::exchange(watches_, {}).clear();
  std::exchange(delayed_, {}).clear();
  std::vector<Task> posted;
  {
    absl::MutexLock lock(&mutex_);
    posted.swap(posted_);
  }
  posted.clear();
  HEARTH_CHECK(timer_count_ == 0 && turn_task_count_ == 0);
}

void EventLoop::Post(Task task) {
  {
    absl::MutexLock lock(&mutex_);
    posted_.push_back(std::move(task));
  }
  // Only the first to find the loop asleep wakes it.
  if (state_.fetch_or(kPosted) != kAsleep) return;
  const uint64_t one = 1;
  HEARTH_CHECK(write(wakeup_.get(), &one, sizeof(one)) == sizeof(one));
}

void EventLoop::Quit() {
  Post([this] { quit_ = true; });
}

uint64_t EventLoop::PostDelayed(absl::Duration delay, Task task) {
  const uint64_t id = next_delayed_id_++;
  delayed_.push_back(std::make_unique<Delayed>(this, id, std::move(task)));
  delayed_.back()->timer.Set(After(Now(), absl::ToChronoNanoseconds(delay)));
  return id;
}

void EventLoop::Cancel(uint64_t timer_id) {
  const auto it = std::find_if(delayed_.begin(), delayed_.end(),
                               [timer_id](const auto& each) { return each->id == timer_id; });
  // One that is not armed runs, and goes when it has run.
  if (it == delayed_.end() || !(*it)->timer.armed()) return;
  const std::unique_ptr<Delayed> delayed = std::move(*it);
  delayed_.erase(it);
}

void EventLoop::SpinUntil(Poller* poller, MonotonicTime until) {
  poller->until_ = until;
  if (std::find(pollers_.begin(), pollers_.end(), poller) == pollers_.end())
    pollers_.push_back(poller);
}

void EventLoop::StopSpinning(Poller* poller) { std::erase(pollers_, poller); }

absl::Status EventLoop::Bind() {
  if (bound_) return absl::OkStatus();
  // 1 ns: no sleep is drawn out to meet another timer.
  prctl(PR_SET_TIMERSLACK, 1);
  if (ring_ != nullptr) HEARTH_RETURN_IF_ERROR(ring_->Enable());
  bound_ = true;
  if (ring_ != nullptr) {
    for (auto& [fd, watch] : watches_) Arm(watch.get());
  }
  return absl::OkStatus();
}

void EventLoop::Run() {
  HEARTH_CHECK(Bind().ok());
  while (!quit_) Turn(nanoseconds::max());
  quit_ = false;
  if (ring_ != nullptr && ring_->pending()) ring_->SubmitAndWait(nanoseconds::zero());
}

bool EventLoop::RunUntil(absl::FunctionRef<bool()> done, nanoseconds limit) {
  HEARTH_CHECK(Bind().ok());
  const MonotonicTime end = After(Now(), limit);
  for (int turns = 0; !done(); ++turns) {
    nanoseconds left = nanoseconds::zero();
    if (limit > left) {
      left = end - Now();
      if (left <= nanoseconds::zero()) return false;
    } else if (turns == kMaxReadyTurns) {
      return false;
    }
    const bool any = Turn(left);
    if (std::exchange(quit_, false) || (limit <= nanoseconds::zero() && !any)) return done();
  }
  return true;
}

nanoseconds EventLoop::WaitTime(nanoseconds limit) const {
  if (!turn_tasks_.empty() || (state_.load(std::memory_order_relaxed) & kPosted))
    return nanoseconds::zero();
  if (timers_.empty()) return limit;
  const MonotonicTime now = Now();
  if (timers_.back()->when_ <= now) return nanoseconds::zero();
  return std::min(limit, nanoseconds(timers_.back()->when_ - now));
}

bool EventLoop::Turn(nanoseconds limit) {
  const nanoseconds wait = WaitTime(limit);
  bool any = false;
  if (pollers_.empty()) {
    Enter(wait);
  } else if (ring_ != nullptr && ring_->pending()) {
    Enter(nanoseconds::zero());
    any = AskPollers(Now());
  } else {
    any = Spin(wait);
    // What a poller has prepared waits for what the turn adds to it.
    if (ring_ != nullptr ? ring_->wants_enter() : Now() >= next_look_) Enter(nanoseconds::zero());
  }
  any |= RunEvents();
  any |= RunPosted();
  any |= RunTimers();
  any |= RunTurnTasks();
  return any || (ring_ != nullptr && ring_->pending());
}

bool EventLoop::AskPollers(MonotonicTime now) {
  bool worked = false;
  for (size_t i = 0; i < pollers_.size();) {
    Poller* const poller = pollers_[i];
    if (poller->until_ <= now) {
      pollers_.erase(pollers_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    worked |= poller->Poll();
    // It may have removed itself, or others.
    if (i < pollers_.size() && pollers_[i] == poller) ++i;
  }
  return worked;
}

bool EventLoop::Spin(nanoseconds wait) {
  MonotonicTime now = Now();
  MonotonicTime end = After(now, wait);
  if (ring_ == nullptr) end = std::min(end, next_look_);
  for (;;) {
    if (AskPollers(now)) return true;
    // With nobody left, the next turn sleeps.
    if (pollers_.empty() || now >= end || (state_.load(std::memory_order_relaxed) & kPosted) ||
        (ring_ != nullptr && (ring_->ready() || ring_->wants_enter()))) {
      return false;
    }
    Pause();
    now = Now();
  }
}

void EventLoop::Enter(nanoseconds wait) {
  if (wait > nanoseconds::zero() && (state_.fetch_or(kAsleep) & kPosted))
    wait = nanoseconds::zero();
  if (ring_ == nullptr) {
    EnterEpoll(wait);
  } else if (wait > nanoseconds::zero() || ring_->pending() || ring_->wants_enter()) {
    ring_->SubmitAndWait(wait);
  }
  state_.fetch_and(~kAsleep);
}

void EventLoop::EnterEpoll(nanoseconds wait) {
  const bool forever = wait == nanoseconds::max();
  if (has_epoll_pwait2_) {
    const timespec timeout = {.tv_sec = wait.count() / 1'000'000'000,
                              .tv_nsec = wait.count() % 1'000'000'000};
    ready_count_ =
        epoll_pwait2(epoll_.get(), ready_.get(), kMaxEvents, forever ? nullptr : &timeout, nullptr);
    // Linux 5.11.
    if (ready_count_ < 0 && errno == ENOSYS) has_epoll_pwait2_ = false;
  }
  if (!has_epoll_pwait2_) {
    // Rounded up: waking a fraction early would only spin.
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    const int timeout = forever ? -1 : static_cast<int>(std::min<int64_t>(ms, 1'000'000));
    ready_count_ = epoll_pwait(epoll_.get(), ready_.get(), kMaxEvents, timeout, nullptr);
  }
  if (ready_count_ < 0) {
    HEARTH_CHECK(errno == EINTR);
    ready_count_ = 0;
  }
  if (!pollers_.empty()) next_look_ = Now() + kEpollInterval;
}

bool EventLoop::RunPosted() {
  if (!(state_.load(std::memory_order_relaxed) & kPosted)) return false;
  // Before the tasks are taken: who posts after this sets it again.
  state_.fetch_and(~kPosted);
  {
    absl::MutexLock lock(&mutex_);
    running_.swap(posted_);
  }
  for (Task& task : running_) task();
  running_.clear();
  return true;
}

bool EventLoop::RunTimers() {
  if (timers_.empty()) return false;
  const MonotonicTime now = Now();
  // One that is set again meanwhile is for the next turn, even if it is due.
  const uint64_t last = timer_order_;
  const auto next = [&]() -> Timer* {
    for (size_t i = timers_.size(); i > 0 && timers_[i - 1]->when_ <= now; --i)
      if (timers_[i - 1]->order_ <= last) return timers_[i - 1];
    return nullptr;
  };
  bool any = false;
  while (Timer* const timer = next()) {
    timer->Cancel();
    timer->callback_();
    any = true;
  }
  const auto done = std::partition(delayed_.begin(), delayed_.end(),
                                   [](const auto& each) { return !each->done; });
  std::vector<std::unique_ptr<Delayed>> gone(std::make_move_iterator(done),
                                             std::make_move_iterator(delayed_.end()));
  delayed_.erase(done, delayed_.end());
  return any;
}

bool EventLoop::RunTurnTasks() {
  if (turn_tasks_.empty()) return false;
  // Grows while it runs; each task runs once a turn.
  for (size_t i = 0; i < turn_tasks_.size(); ++i) {
    TurnTask* const task = std::exchange(turn_tasks_[i], nullptr);
    if (task == nullptr) continue;
    task->scheduled_ = false;
    task->last_turn_ = turn_;
    task->callback_();
  }
  turn_tasks_.clear();
  turn_tasks_.swap(next_turn_tasks_);
  ++turn_;
  return true;
}

}  // namespace hearth::base
