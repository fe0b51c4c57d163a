// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace hearth::base {
namespace {

TEST(Thread, RunsUnderItsNameWithSignalsBlocked) {
  std::string name;
  bool blocked = false;
  auto thread = Thread::Start("a-name-that-is-too-long", [&] {
    char text[16];
    pthread_getname_np(pthread_self(), text, sizeof(text));
    name = text;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) == 1;
  });
  ASSERT_TRUE(thread.ok()) << thread.status();
  thread->Join();
  EXPECT_FALSE(thread->joinable());
  thread->Join();  // again: no effect
  EXPECT_EQ(name, "a-name-that-is-");
  EXPECT_TRUE(blocked);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_FALSE(sigismember(&mask, SIGTERM)) << "the starter's mask is as it was";
}

TEST(Thread, AHostWithoutThreadsIsAnErrorAndNoDeath) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "skipped, because a sanitizer ends the process when it gets no memory";
#endif
  const pid_t child = fork();
  if (child == 0) {
    // No room for the thread's stack is the one shortage that root meets too.
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_AS, &none) != 0) _exit(2);
    // The C library may have a stack or two left of threads that have ended.
    for (int i = 0; i < 100; ++i) {
      auto thread = Thread::Start("x", [] { pause(); });
      if (!thread.ok()) {
        _exit(thread.status().message().find("pids.max") != absl::string_view::npos ? 0 : 1);
      }
      new Thread(*std::move(thread));  // the exit of the process ends it
    }
    _exit(4);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace hearth::base
