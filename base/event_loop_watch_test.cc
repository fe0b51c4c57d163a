// SPDX-License-Identifier: Apache-2.0
// Watches of an EventLoop.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/event_loop.h"
#include "base/loop_backends.h"

namespace hearth::base {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_NONBLOCK), 0);
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
  }
  void Write() { EXPECT_EQ(write(write_end.get(), "x", 1), 1); }
  void Read() {
    char byte;
    EXPECT_EQ(read(read_end.get(), &byte, 1), 1);
  }
  int fd() const { return read_end.get(); }
  UniqueFd read_end, write_end;
};

class EventLoopWatchTest : public LoopBackendTest {
 protected:
  void Add(int fd, uint32_t events, EventLoop::FdCallback callback) {
    const absl::Status status = loop_->Add(fd, events, std::move(callback));
    ASSERT_TRUE(status.ok()) << status;
  }
  Pipe pipe_;
};
INSTANTIATE_TEST_SUITE_P(Backends, EventLoopWatchTest, testing::ValuesIn(kLoopBackends),
                         LoopBackendName);

TEST_P(EventLoopWatchTest, LevelTriggeredWatchIsCalledUntilTheCauseIsGone) {
  int calls = 0;
  Add(pipe_.fd(), EPOLLIN, [&](uint32_t events) {
    EXPECT_EQ(events, uint32_t{EPOLLIN});
    if (++calls % 3 == 0) pipe_.Read();
  });
  Settle();
  EXPECT_EQ(calls, 0);
  for (int i = 1; i <= 3; ++i) {
    pipe_.Write();
    Await([&] { return calls == 3 * i; });
    Settle();
    EXPECT_EQ(calls, 3 * i);
  }
}

TEST_P(EventLoopWatchTest, EdgeTriggeredEventfdNeedNotBeRead) {
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  int calls = 0;
  Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t events) {
    EXPECT_EQ(events, uint32_t{EPOLLIN});
    ++calls;
  });
  Settle();
  EXPECT_EQ(calls, 0);
  for (int i = 1; i <= 1000; ++i) {
    ASSERT_EQ(eventfd_write(event.get(), 1), 0);
    Await([&] { return calls == i; });
  }
  Settle();
  EXPECT_EQ(calls, 1000);
}

TEST_P(EventLoopWatchTest, EdgeTriggeredWatchTellsWhatWasThereBefore) {
  UniqueFd event(eventfd(1, EFD_NONBLOCK));
  int calls = 0;
  Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t) { ++calls; });
  Settle();
  EXPECT_EQ(calls, 1);
}

// Signals while nobody looks may be told as one, but not as none.
TEST_P(EventLoopWatchTest, EdgesFromAnotherThreadAreNotLost) {
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  std::atomic<uint64_t> written{0}, seen{0};
  Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t) { seen = written.load(); });
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) {
      const uint64_t now = written.fetch_add(1) + 1;
      ASSERT_EQ(eventfd_write(event.get(), 1), 0);
      if (i % 16 == 0) {
        while (seen.load() < now) std::this_thread::yield();
      }
    }
    loop_->Quit();
  });
  loop_->Run();
  writer.join();
  Settle();
  EXPECT_EQ(seen.load(), 20'000);
}

TEST_P(EventLoopWatchTest, CallbackMayRemoveItself) {
  int calls = 0;
  Add(pipe_.fd(), EPOLLIN, [&, keep = std::string(100, 'x')](uint32_t) {
    loop_->Remove(pipe_.fd());
    calls += static_cast<int>(keep.size());  // the callback lives until it returns
  });
  pipe_.Write();
  Settle();
  EXPECT_EQ(calls, 100);
}

TEST_P(EventLoopWatchTest, RemovedWatchIsNotCalledForEventsAlreadyTaken) {
  Pipe other;
  int calls = 0;
  for (const auto& [mine, others] : {std::pair(pipe_.fd(), other.fd()), {other.fd(), pipe_.fd()}}) {
    Add(mine, EPOLLIN, [&, mine = mine, others = others](uint32_t) {
      ++calls;
      loop_->Remove(others);
      loop_->Remove(mine);
    });
  }
  Settle();
  pipe_.Write();
  other.Write();
  Settle();
  EXPECT_EQ(calls, 1);
}

TEST_P(EventLoopWatchTest, ReusedFdNumberGetsNoOldEvents) {
  for (const uint32_t edge : {0u, uint32_t{EPOLLET}}) {
    Pipe a, b, fresh;
    int old_calls = 0, new_calls = 0;
    const auto replace = [&](Pipe* other) {
      ++old_calls;
      const int number = other->fd();
      loop_->Remove(a.fd());
      loop_->Remove(b.fd());
      // Closes the old pipe's end: same number, another file.
      ASSERT_EQ(dup3(fresh.fd(), number, O_CLOEXEC), number);
      Add(number, EPOLLIN | edge, [&](uint32_t) { ++new_calls; });
    };
    Add(a.fd(), EPOLLIN | edge, [&](uint32_t) { replace(&b); });
    Add(b.fd(), EPOLLIN | edge, [&](uint32_t) { replace(&a); });
    Settle();
    a.Write();
    b.Write();
    Settle();
    EXPECT_EQ(old_calls, 1);
    EXPECT_EQ(new_calls, 0);
    fresh.Write();
    Await([&] { return new_calls > 0; });
    loop_->Remove(a.fd());
    loop_->Remove(b.fd());
  }
}

TEST_P(EventLoopWatchTest, RemovedAndAddedAgainBelongsToTheNewCallback) {
  pipe_.Write();
  int calls = 0;
  Add(pipe_.fd(), EPOLLIN, [](uint32_t) { FAIL(); });
  loop_->Remove(pipe_.fd());
  Add(pipe_.fd(), EPOLLIN, [&](uint32_t) {
    ++calls;
    pipe_.Read();
  });
  Settle();
  EXPECT_EQ(calls, 1);
}

// The file of a removed watch is let go by the turn's system call at the latest.
TEST_P(EventLoopWatchTest, ClosedFileIsLetGo) {
  Add(pipe_.fd(), EPOLLIN, [](uint32_t) {});
  Settle();
  loop_->Remove(pipe_.fd());
  pipe_.read_end.reset();
  Settle();
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(write(pipe_.write_end.get(), "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_P(EventLoopWatchTest, ModifyTakesEffectAtOnce) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
  UniqueFd mine(sockets[0]), peer(sockets[1]);
  int readable = 0, writable = 0;
  Add(mine.get(), EPOLLIN, [&](uint32_t events) {
    readable += (events & EPOLLIN) != 0;
    writable += (events & EPOLLOUT) != 0;
    EXPECT_TRUE(loop_->Modify(mine.get(), 0).ok());
  });
  Settle();
  EXPECT_EQ(readable + writable, 0);
  ASSERT_TRUE(loop_->Modify(mine.get(), EPOLLOUT).ok());
  Settle();
  EXPECT_EQ(writable, 1);
  ASSERT_EQ(write(peer.get(), "x", 1), 1);
  Settle();
  EXPECT_EQ(readable, 0);
  ASSERT_TRUE(loop_->Modify(mine.get(), EPOLLIN | EPOLLOUT).ok());
  ASSERT_TRUE(loop_->Modify(mine.get(), EPOLLIN).ok());
  Settle();
  EXPECT_EQ(readable, 1);
  EXPECT_EQ(writable, 1);
}

TEST_P(EventLoopWatchTest, EdgeTriggeredModifyTellsWhatIsThere) {
  UniqueFd event(eventfd(1, EFD_NONBLOCK));
  int calls = 0;
  Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t) { ++calls; });
  Settle();
  ASSERT_TRUE(loop_->Modify(event.get(), EPOLLIN | EPOLLET).ok());
  Settle();
  EXPECT_EQ(calls, 2);
}

TEST_P(EventLoopWatchTest, HangUpIsToldWithoutAsking) {
  uint32_t seen = 0;
  Add(pipe_.fd(), 0, [&](uint32_t events) {
    seen = events;
    loop_->Remove(pipe_.fd());
  });
  pipe_.Write();
  Settle();
  EXPECT_EQ(seen, 0u);
  pipe_.write_end.reset();
  Settle();
  EXPECT_EQ(seen, uint32_t{EPOLLHUP});
}

// io_uring tells of EPOLLRDHUP unasked; the loop must not turn for it.
TEST_P(EventLoopWatchTest, HalfClosedPeerWakesNobodyWhoDidNotAsk) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  UniqueFd mine(sockets[0]), peer(sockets[1]);
  int calls = 0;
  Add(mine.get(), EPOLLPRI, [&](uint32_t events) {
    ++calls;
    EXPECT_TRUE(events & EPOLLHUP) << events;
    if (calls == 3) loop_->Remove(mine.get());
  });
  Settle();
  ASSERT_EQ(shutdown(peer.get(), SHUT_WR), 0);
  Settle();
  const uint64_t before = loop_->ring() ? loop_->ring()->enters() : 0;
  EXPECT_FALSE(loop_->RunUntil([&] { return calls > 0; }, milliseconds(10)));
  if (loop_->ring()) {
    EXPECT_EQ(loop_->ring()->enters(), before + 1);
  }
  // Level-triggered again: told until it is removed.
  peer.reset();
  Await([&] { return calls == 3; });
}

TEST_P(EventLoopWatchTest, RefusesWhatCannotBeWatched) {
  Add(pipe_.fd(), EPOLLIN, [](uint32_t) {});
  EXPECT_EQ(loop_->Add(pipe_.fd(), EPOLLIN, [](uint32_t) {}).message(),
            absl::StrCat("epoll_ctl fd ", pipe_.fd(), ": File exists"));
  loop_->Remove(pipe_.fd());
  EXPECT_EQ(loop_->Modify(pipe_.fd(), EPOLLIN).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(loop_->Add(-1, EPOLLIN, [](uint32_t) {}).message(),
            "epoll_ctl fd -1: Bad file descriptor");
  UniqueFd file(open("/proc/self/exe", O_RDONLY));
  EXPECT_EQ(loop_->Add(file.get(), EPOLLIN, [](uint32_t) {}).code(),
            absl::StatusCode::kPermissionDenied);
}

// More watches than the submission queue has entries, before the ring is enabled and after.
TEST_P(EventLoopWatchTest, ManyWatches) {
  std::vector<UniqueFd> events;
  int calls = 0;
  for (int i = 0; i < 400; ++i) {
    events.emplace_back(eventfd(0, EFD_NONBLOCK));
    Add(events.back().get(), EPOLLIN | (i % 2 ? uint32_t{EPOLLET} : 0u), [&, i](uint32_t) {
      ++calls;
      if (i % 2 == 0) loop_->Remove(events[i].get());
    });
    if (i == 200) Settle();
  }
  for (UniqueFd& event : events) ASSERT_EQ(eventfd_write(event.get(), 1), 0);
  Await([&] { return calls == 400; });
  Settle();
  EXPECT_EQ(calls, 400);
  for (UniqueFd& event : events) loop_->Remove(event.get());
}

TEST_P(EventLoopWatchTest, MayGoAfterItsThread) {
  std::vector<UniqueFd> events;
  for (int i = 0; i < 400; ++i) {
    events.emplace_back(eventfd(0, EFD_NONBLOCK));
    Add(events.back().get(), EPOLLIN, [](uint32_t) {});
  }
  loop_->Quit();
  std::thread([&] { loop_->Run(); }).join();
  for (int i = 0; i < 300; ++i) loop_->Remove(events[i].get());
  loop_.reset();
}

}  // namespace
}  // namespace hearth::base
