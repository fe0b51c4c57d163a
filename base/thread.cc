// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <signal.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth::base {
namespace {

struct StartArgument {
  std::string name;
  absl::AnyInvocable<void()> body;
};

void* Run(void* argument) {
  const std::unique_ptr<StartArgument> start(static_cast<StartArgument*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  start->body();
  return nullptr;
}

}  // namespace

absl::StatusOr<Thread> Thread::Start(const std::string& name, absl::AnyInvocable<void()> body) {
  auto argument =
      std::make_unique<StartArgument>(StartArgument{name.substr(0, 15), std::move(body)});
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t handle;
  const int error = pthread_create(&handle, nullptr, Run, argument.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    return ErrnoStatus("pthread_create", name, error,
                       "raise the limits on processes (ulimit -u, the cgroup's pids.max)");
  }
  (void)argument.release();  // the thread's now
  Thread thread;
  thread.handle_ = handle;
  return thread;
}

Thread& Thread::operator=(Thread&& other) noexcept {
  HEARTH_CHECK(!joinable());
  handle_ = std::exchange(other.handle_, std::nullopt);
  return *this;
}

Thread::~Thread() { HEARTH_CHECK(!joinable()); }

void Thread::Join() {
  if (!joinable()) return;
  HEARTH_CHECK(pthread_join(*handle_, nullptr) == 0);
  handle_.reset();
}

void Thread::Signal(int number) const {
  HEARTH_CHECK(joinable());
  pthread_kill(*handle_, number);
}

}  // namespace hearth::base
