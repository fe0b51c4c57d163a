// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "base/loop_backends.h"

namespace hearth::base {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

class EventLoopTest : public LoopBackendTest {};
INSTANTIATE_TEST_SUITE_P(Backends, EventLoopTest, testing::ValuesIn(kLoopBackends),
                         LoopBackendName);

TEST_P(EventLoopTest, NamesItsBackend) {
  EXPECT_EQ(loop_->backend(), GetParam().options.io_uring ? "io_uring" : "epoll");
}

TEST_P(EventLoopTest, RunsPostedTasksInOrderThenQuits) {
  std::string order;
  loop_->Post([&] {
    order += "a";
    loop_->Post([&] { order += "c"; });  // after the Quit() below
  });
  loop_->Post([&] { order += "b"; });
  loop_->Quit();
  loop_->Run();
  EXPECT_EQ(order, "ab");
  loop_->Quit();
  loop_->Run();
  EXPECT_EQ(order, "abc");
}

TEST_P(EventLoopTest, PostsFromManyThreadsAllRun) {
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        loop_->Post([&] {
          if (++count == 4000) loop_->Quit();
        });
      }
    });
  }
  loop_->Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 4000);
}

// Each wakes a sleeping loop: a wake-up that is lost shows as a hang.
TEST_P(EventLoopTest, EveryPostWakesTheLoop) {
  std::atomic<int> ran{0};
  std::thread loop_thread([&] { loop_->Run(); });
  for (int i = 0; i < 2000; ++i) {
    loop_->Post([&] { ran.fetch_add(1); });
    while (ran.load() != i + 1) std::this_thread::yield();
  }
  loop_->Quit();
  loop_thread.join();
}

TEST_P(EventLoopTest, SignalsDoNotEndTheWait) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  std::thread loop_thread([&] { loop_->Run(); });
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) {
    pthread_kill(loop_thread.native_handle(), SIGUSR1);
    loop_->Post([&] { ran.fetch_add(1); });
  }
  loop_->Quit();
  loop_thread.join();
  EXPECT_EQ(ran.load(), 100);
}

TEST_P(EventLoopTest, IdleLoopSleeps) {
  if (loop_->ring() == nullptr) GTEST_SKIP() << "skipped, because epoll counts no system calls";
  Settle();
  const uint64_t before = loop_->ring()->enters();
  EXPECT_FALSE(loop_->RunUntil([] { return false; }, milliseconds(20)));
  EXPECT_EQ(loop_->ring()->enters(), before + 1);
}

TEST_P(EventLoopTest, DelayedTasksRunInOrderAndCancel) {
  std::string order;
  uint64_t cancelled = 0;
  loop_->PostDelayed(absl::Milliseconds(20), [&] {
    order += "b";
    loop_->Quit();
  });
  loop_->PostDelayed(absl::Milliseconds(1), [&] {
    order += "a";
    loop_->Cancel(cancelled);
  });
  cancelled = loop_->PostDelayed(absl::Milliseconds(2), [&] { order += "x"; });
  loop_->Cancel(loop_->PostDelayed(absl::Milliseconds(2), [&] { order += "y"; }));
  loop_->PostDelayed(absl::InfiniteDuration(), [&] { order += "z"; });
  loop_->Run();
  EXPECT_EQ(order, "ab");
}

TEST_P(EventLoopTest, DelayedTaskMayCancelItself) {
  uint64_t id = 0;
  bool ran = false;
  id = loop_->PostDelayed(absl::ZeroDuration(), [&, keep = std::string(100, 'x')] {
    loop_->Cancel(id);
    ran = keep.size() == 100;
  });
  Await([&] { return ran; });
}

TEST_P(EventLoopTest, TimerIsNeverEarly) {
  for (const nanoseconds delay : {nanoseconds(1), nanoseconds(70'001), nanoseconds(1'900'000)}) {
    MonotonicTime fired{};
    Timer timer(loop_.get(), [&] { fired = steady_clock::now(); });
    const MonotonicTime when = steady_clock::now() + delay;
    timer.Set(when);
    EXPECT_TRUE(timer.armed());
    Await([&] { return fired != MonotonicTime{}; });
    EXPECT_FALSE(timer.armed());
    EXPECT_GE(fired, when);
  }
}

TEST_P(EventLoopTest, TimersKeepTheOrderOfTheirDeadlines) {
  std::string order;
  Timer a(loop_.get(), [&] { order += "a"; });
  Timer b(loop_.get(), [&] { order += "b"; });
  Timer c(loop_.get(), [&] { order += "c"; });
  Timer d(loop_.get(), [&] { order += "d"; });
  const MonotonicTime now = steady_clock::now();
  a.Set(now + milliseconds(1));
  b.Set(now);
  c.Set(now);
  d.Set(now);
  d.Cancel();
  b.Set(now);  // replaces, so it is behind c
  Await([&] { return order.size() == 3; });
  Settle();
  EXPECT_EQ(order, "cba");
}

TEST_P(EventLoopTest, TimerThatIsAlwaysDueLeavesRoomForOthers) {
  std::string order;
  Timer greedy(loop_.get(), [&] {
    order += "g";
    greedy.Set(MonotonicTime::min());
  });
  Timer modest(loop_.get(), [&] { order += "m"; });
  greedy.Set(MonotonicTime::min());
  modest.Set(MonotonicTime{});
  Await([&] { return order.size() == 3; });
  EXPECT_EQ(order, "gmg");
}

TEST_P(EventLoopTest, TimerMayDestroyAnotherThatIsDue) {
  auto victim = std::make_unique<Timer>(loop_.get(), [] { FAIL(); });
  bool ran = false;
  Timer killer(loop_.get(), [&] {
    victim.reset();
    ran = true;
  });
  killer.Set(MonotonicTime{});
  victim->Set(MonotonicTime{} + nanoseconds(1));
  Settle();
  EXPECT_TRUE(ran);
}

TEST_P(EventLoopTest, TurnGoesEventsPostedTimersTurnTasks) {
  UniqueFd event(eventfd(1, EFD_NONBLOCK));
  std::string order;
  Timer timer(loop_.get(), [&] { order += "t"; });
  TurnTask task(loop_.get(), [&] { order += "T"; });
  ASSERT_TRUE(loop_
                  ->Add(event.get(), EPOLLIN | EPOLLET,
                        [&](uint32_t) {
                          order += "e";
                          task.Schedule();
                          task.Schedule();
                          timer.Set(MonotonicTime{});
                          loop_->Post([&] { order += "p"; });
                        })
                  .ok());
  Settle();
  EXPECT_EQ(order, "eptT");
}

TEST_P(EventLoopTest, TurnTaskRunsOnceATurn) {
  std::string order;
  int again = 3;
  TurnTask last(loop_.get(), [&] { order += "l"; });
  TurnTask first(loop_.get(), [&] {
    order += "f";
    last.Schedule();  // this turn
    if (--again > 0) first.Schedule();
  });
  first.Schedule();
  Settle();
  EXPECT_EQ(order, "flflfl");
}

TEST_P(EventLoopTest, DestroyedTurnTaskDoesNotRun) {
  auto victim = std::make_unique<TurnTask>(loop_.get(), [] { FAIL(); });
  bool ran = false;
  TurnTask killer(loop_.get(), [&] {
    victim.reset();
    ran = true;
  });
  killer.Schedule();
  victim->Schedule();
  Settle();
  EXPECT_TRUE(ran);
}

// Has work until `work` is used up.
class CountingPoller : public EventLoop::Poller {
 public:
  bool Poll() override {
    ++asked;
    if (on_poll) on_poll();
    return work > 0 && work-- > 0;
  }
  int asked = 0;
  int work = 0;
  absl::AnyInvocable<void()> on_poll;
};

TEST_P(EventLoopTest, SpinsUntilTheEnd) {
  CountingPoller poller;
  poller.work = 3;
  const MonotonicTime end = steady_clock::now() + milliseconds(5);
  loop_->SpinUntil(&poller, end);
  // Past its end the loop sleeps; the timer wakes it.
  MonotonicTime fired{};
  Timer timer(loop_.get(), [&] { fired = steady_clock::now(); });
  timer.Set(end + milliseconds(1));
  const uint64_t before = loop_->ring() ? loop_->ring()->enters() : 0;
  Await([&] { return fired != MonotonicTime{}; });
  EXPECT_EQ(poller.work, 0);
  EXPECT_GT(poller.asked, 10);
  EXPECT_GE(fired, end + milliseconds(1));
  // One to arm the wakeup's watch, one to sleep.
  if (loop_->ring()) {
    EXPECT_LE(loop_->ring()->enters(), before + 2);
  }
}

TEST_P(EventLoopTest, SpinningLoopSeesPostsEventsAndTimers) {
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  int events = 0;
  ASSERT_TRUE(loop_->Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t) { ++events; }).ok());
  Settle();
  CountingPoller poller;
  loop_->SpinUntil(&poller, MonotonicTime::max());
  std::thread other([&] { loop_->Post([&] { ASSERT_EQ(eventfd_write(event.get(), 1), 0); }); });
  bool timed = false;
  Timer timer(loop_.get(), [&] { timed = true; });
  Await([&] { return events == 1; });
  other.join();
  timer.Set(steady_clock::now() + microseconds(100));
  Await([&] { return timed; });
  loop_->StopSpinning(&poller);
  const int asked = poller.asked;
  Settle();
  EXPECT_EQ(poller.asked, asked);
}

TEST_P(EventLoopTest, PollersMayStopThemselvesAndOthers) {
  CountingPoller a, b, c;
  a.on_poll = [&] { loop_->StopSpinning(&a); };
  b.on_poll = [&] {
    loop_->StopSpinning(&a);
    loop_->StopSpinning(&b);
    loop_->StopSpinning(&c);
  };
  for (CountingPoller* poller : {&a, &b, &c}) loop_->SpinUntil(poller, MonotonicTime::max());
  Settle();
  Settle();
  EXPECT_EQ(a.asked, 1);
  EXPECT_EQ(b.asked, 1);
  EXPECT_LE(c.asked, 1);
}

}  // namespace
}  // namespace hearth::base
