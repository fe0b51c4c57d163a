// SPDX-License-Identifier: Apache-2.0
// The event loop where the host does not allow what it would like to use.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <thread>

#include "base/event_loop.h"

namespace hearth::base {
namespace {

// Runs `body` on a thread whose system call `number` fails with `error`.
void WithRefused(long number, int error, const std::function<void()>& body) {
  std::thread([&] {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {.len = std::size(code), .filter = code};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    body();
  }).join();
}

// An event, a timer and a task of another thread.
void ExpectWorks(EventLoop* loop) {
  UniqueFd event(eventfd(1, EFD_NONBLOCK));
  std::string seen;
  ASSERT_TRUE(loop->Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t) { seen += "e"; }).ok());
  ASSERT_TRUE(loop->RunUntil([&] { return seen == "e"; }, std::chrono::seconds(30)));
  const auto when = std::chrono::steady_clock::now() + std::chrono::microseconds(1500);
  Timer timer(loop, [&] { seen += std::chrono::steady_clock::now() >= when ? "t" : "early"; });
  timer.Set(when);
  ASSERT_TRUE(loop->RunUntil([&] { return seen == "et"; }, std::chrono::seconds(30)));
  std::thread other([&] { loop->Post([&] { seen += "p"; }); });
  EXPECT_TRUE(loop->RunUntil([&] { return seen == "etp"; }, std::chrono::seconds(30)));
  other.join();
}

TEST(EventLoopFallbackTest, IoUringForbidden) {
  WithRefused(SYS_io_uring_setup, EPERM, [] {
    auto loop = EventLoop::Create({.io_uring = true});
    ASSERT_TRUE(loop.ok()) << loop.status();
    EXPECT_EQ((*loop)->backend(),
              "epoll (io_uring_queue_init_params: Operation not permitted; "
              "kernel.io_uring_disabled or a seccomp filter forbids it)");
    EXPECT_EQ((*loop)->ring(), nullptr);
    ExpectWorks(loop->get());
  });
}

TEST(EventLoopFallbackTest, KernelWithoutIoUring) {
  WithRefused(SYS_io_uring_setup, ENOSYS, [] {
    auto loop = EventLoop::Create({.io_uring = true});
    ASSERT_TRUE(loop.ok()) << loop.status();
    EXPECT_EQ((*loop)->backend(), "epoll (io_uring_queue_init_params: Function not implemented)");
    ExpectWorks(loop->get());
  });
}

TEST(EventLoopFallbackTest, TooLittleMemory) {
  WithRefused(SYS_io_uring_setup, ENOMEM, [] {
    auto loop = EventLoop::Create({.io_uring = true});
    ASSERT_TRUE(loop.ok()) << loop.status();
    EXPECT_EQ((*loop)->backend(), "epoll (io_uring_queue_init_params: Cannot allocate memory)");
  });
}

// A ring that cannot be restricted is none.
TEST(EventLoopFallbackTest, RestrictionsRefused) {
  if (!IoRing::Create(4).ok()) GTEST_SKIP() << "skipped, because this host allows no io_uring";
  WithRefused(SYS_io_uring_register, EACCES, [] {
    auto loop = EventLoop::Create({.io_uring = true});
    ASSERT_TRUE(loop.ok()) << loop.status();
    EXPECT_EQ((*loop)->backend(), "epoll (io_uring_register_restrictions: Permission denied)");
    ExpectWorks(loop->get());
  });
}

TEST(EventLoopFallbackTest, KernelWithoutEpollPwait2) {
  WithRefused(SYS_epoll_pwait2, ENOSYS, [] {
    auto loop = EventLoop::Create();
    ASSERT_TRUE(loop.ok()) << loop.status();
    ExpectWorks(loop->get());
  });
}

}  // namespace
}  // namespace hearth::base
