// SPDX-License-Identifier: Apache-2.0
// IoThreads: the threads that run the virtio devices, each with an event loop over io_uring, or
// over epoll where io_uring is not allowed.
//
// Main thread. The loops' own headers say who may call what.
#ifndef HEARTH_RUNTIME_VMM_IO_THREADS_H_
#define HEARTH_RUNTIME_VMM_IO_THREADS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/thread.h"

namespace hearth {

class IoThreads {
 public:
  // `count` threads, "io/0" and so on, that wait for work. Says once in the log what they run on.
  static absl::StatusOr<std::unique_ptr<IoThreads>> Start(uint32_t count, bool allow_io_uring);
  // Ends and joins the threads; nothing may be in flight on their loops.
  ~IoThreads();
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  // For any number: they are taken in turn.
  base::EventLoop* loop(uint32_t index) { return threads_[index % threads_.size()]->loop.get(); }
  size_t size() const { return threads_.size(); }

 private:
  struct IoThread {
    std::unique_ptr<base::EventLoop> loop;
    base::Thread thread;
  };

  IoThreads() = default;
  std::vector<std::unique_ptr<IoThread>> threads_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_IO_THREADS_H_
