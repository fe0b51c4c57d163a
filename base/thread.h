// SPDX-License-Identifier: Apache-2.0
// Thread: a named thread whose start may fail.
//
// std::thread throws when the process may have no more threads; a host that is short of them is
// no reason to die. All signals are blocked in the new thread: they are the main thread's. Owned by
// one thread, which must Join() before it destroys a Thread that runs. Move-only.
#ifndef HEARTH_BASE_THREAD_H_
#define HEARTH_BASE_THREAD_H_

#include <pthread.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hearth::base {

class Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept : handle_(std::exchange(other.handle_, std::nullopt)) {}
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  // Runs `body` in a new thread. The first 15 bytes of `name` show in top(1) and in the log.
  static absl::StatusOr<Thread> Start(const std::string& name, absl::AnyInvocable<void()> body);

  bool joinable() const { return handle_.has_value(); }
  // Waits for the end of the thread; no effect where none runs.
  void Join();
  // pthread_kill(3) on a thread that has not been joined.
  void Signal(int number) const;

 private:
  std::optional<pthread_t> handle_;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_THREAD_H_
