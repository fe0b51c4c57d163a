// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>

namespace hearth::base {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::Create();
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    read_end_.reset(fds[0]);
    write_end_.reset(fds[1]);
  }
  void WriteByte() { ASSERT_EQ(write(write_end_.get(), "x", 1), 1); }

  std::unique_ptr<EventLoop> loop_;
  UniqueFd read_end_, write_end_;
};

TEST_F(EventLoopTest, CallsBackWhenReadable) {
  uint32_t seen = 0;
  ASSERT_TRUE(loop_
                  ->Add(read_end_.get(), EPOLLIN,
                        [&](uint32_t events) {
                          seen = events;
                          loop_->Quit();
                        })
                  .ok());
  WriteByte();
  loop_->Run();
  EXPECT_TRUE(seen & EPOLLIN);
}

TEST_F(EventLoopTest, CallbackMayRemoveItself) {
  int calls = 0;
  ASSERT_TRUE(loop_
                  ->Add(read_end_.get(), EPOLLIN,
                        [&](uint32_t) {
                          ++calls;
                          loop_->Remove(read_end_.get());
                          loop_->Post([&] { loop_->Quit(); });
                        })
                  .ok());
  WriteByte();
  loop_->Run();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, PostsFromManyThreadsAllRun) {
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

TEST_F(EventLoopTest, TimersRunInOrderAndCancel) {
  std::string order;
  loop_->PostDelayed(absl::Milliseconds(20), [&] {
    order += "b";
    loop_->Quit();
  });
  loop_->PostDelayed(absl::Milliseconds(1), [&] { order += "a"; });
  loop_->Cancel(loop_->PostDelayed(absl::Milliseconds(2), [&] { order += "x"; }));
  loop_->Run();
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, SecondWatchOfAnFdIsRefused) {
  ASSERT_TRUE(loop_->Add(read_end_.get(), EPOLLIN, [](uint32_t) {}).ok());
  EXPECT_FALSE(loop_->Add(read_end_.get(), EPOLLIN, [](uint32_t) {}).ok());
}

}  // namespace
}  // namespace hearth::base
