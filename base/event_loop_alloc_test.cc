// SPDX-License-Identifier: Apache-2.0
// What a loop does for each request allocates nothing. The binary's operator new counts.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/event_loop.h"
#include "base/loop_backends.h"

namespace {
std::atomic<int> allocations{0};
}  // namespace

void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace hearth::base {
namespace {

class EventLoopAllocTest : public LoopBackendTest {};
INSTANTIATE_TEST_SUITE_P(Backends, EventLoopAllocTest, testing::ValuesIn(kLoopBackends),
                         LoopBackendName);

class IdlePoller : public EventLoop::Poller {
 public:
  bool Poll() override { return false; }
};

// A device with everything: kicked, it reads, sets its timer, spins, and interrupts.
class Device final : public IoOperation {
 public:
  explicit Device(EventLoop* loop) : loop_(loop) {
    EXPECT_TRUE(loop->Add(kick.get(), EPOLLIN | EPOLLET, [this](uint32_t) { OnKick(); }).ok());
    EXPECT_TRUE(loop->Add(level_.get(), 0, [](uint32_t) {}).ok());
  }
  ~Device() override {
    loop_->Remove(kick.get());
    loop_->Remove(level_.get());
  }
  void OnComplete(int32_t result) override {
    EXPECT_EQ(result, 1);
    finish_.Schedule();
  }

  UniqueFd kick{eventfd(0, EFD_NONBLOCK)};
  int done = 0;

 private:
  void OnKick() {
    timer_.Set(std::chrono::steady_clock::now());
    loop_->SpinUntil(&poller_, std::chrono::steady_clock::now() + std::chrono::microseconds(1));
    EXPECT_TRUE(loop_->Modify(level_.get(), done % 2 ? uint32_t{EPOLLPRI} : 0).ok());
    loop_->Post([this] { ++posted_; });
    if (loop_->ring() == nullptr) return finish_.Schedule();
    loop_->ring()->Readv(zero_.get(), &vector_, 1, 0, this);
  }
  void Finish() {
    if (loop_->ring() != nullptr) loop_->ring()->SignalEventfd(interrupt_.get());
    loop_->StopSpinning(&poller_);
    ++done;
  }

  EventLoop* const loop_;
  UniqueFd level_{eventfd(0, EFD_NONBLOCK)};
  UniqueFd interrupt_{eventfd(0, EFD_NONBLOCK)};
  UniqueFd zero_{open("/dev/zero", O_RDONLY)};
  char byte_;
  const iovec vector_ = {&byte_, 1};
  int posted_ = 0;
  IdlePoller poller_;
  Timer timer_{loop_, [] {}};
  TurnTask finish_{loop_, [this] { Finish(); }};
};

TEST_P(EventLoopAllocTest, ARequestAllocatesNothing) {
  Device device(loop_.get());
  auto request = [&, wanted = 0]() mutable {
    ++wanted;
    ASSERT_EQ(eventfd_write(device.kick.get(), 1), 0);
    Await([&] { return device.done == wanted; });
  };
  // Lists and the heap of polls take their size.
  for (int i = 0; i < 10; ++i) request();
  const int before = allocations.load();
  for (int i = 0; i < 100; ++i) request();
  EXPECT_EQ(allocations.load(), before);
}

}  // namespace
}  // namespace hearth::base
