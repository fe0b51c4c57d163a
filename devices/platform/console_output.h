// SPDX-License-Identifier: Apache-2.0
// ConsoleOutput: carries the serial port's bytes to a file descriptor without ever holding up a
// vCPU.
//
// A guest's console driver writes one byte an exit. Put() only stores it in a ring of 64 KiB; the
// ring goes out with one write(2) at a newline, at 4 KiB, or 3 ms after the first byte that has no
// newline yet (a prompt), whichever is first. So a line costs one write(2), not eighty, a vCPU that
// prints half a line costs the loop one wake-up, and an idle console costs nothing. What the
// descriptor does not take stays in the ring until the loop sees it writable. A full ring drops the
// newest bytes and counts them: what was said first is kept in order, and a guest that floods a
// reader who sleeps cannot push out its own past.
//
// How a write can not block. Setting O_NONBLOCK on standard output would set it for every process
// that shares the open file description (the user's shell), and poll(2) before write(2) is no
// promise (a terminal's write blocks for the rest, another writer may fill the pipe in between).
// So:
//   - pipes, FIFOs and terminals are opened a second time through /proc/self/fd, which makes a
//     description of our own, with O_NONBLOCK;
//   - sockets are written with MSG_DONTWAIT;
//   - regular files are written as they are (their writes do not wait for a reader), at the
//     position they share with the other holders of the description;
//   - where the second open fails (no /proc, or a terminal of another user), each write follows a
//     poll(2) and is at most PIPE_BUF bytes. The one case in which a write might wait, and then
//     only if someone else fills the pipe.
//
// A reader that is gone (EPIPE) or a failing disk drops the bytes and counts them; the next line
// tries again. The process must ignore SIGPIPE.
//
// Threads: Put() from any thread; everything else, and destruction, on the loop's thread. The
// process must call Flush() before it exits.
#ifndef HEARTH_DEVICES_PLATFORM_CONSOLE_OUTPUT_H_
#define HEARTH_DEVICES_PLATFORM_CONSOLE_OUTPUT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace hearth {

class ConsoleOutput {
 public:
  static constexpr size_t kRingBytes = 64 << 10;
  static constexpr size_t kWriteAtBytes = 4 << 10;
  static constexpr absl::Duration kPromptDelay = absl::Milliseconds(3);

  struct Metrics {
    std::atomic<uint64_t> written_bytes{0};
    std::atomic<uint64_t> dropped_bytes{0};  // ring full, or the descriptor failed
    std::atomic<uint64_t> writes{0};         // write(2) calls that took something
    std::atomic<uint64_t> errors{0};         // write(2) calls that failed, EAGAIN apart
  };

  // Makes a descriptor of its own; `fd` stays the caller's, may be closed, and keeps its flags.
  // Before the seccomp filter (opens /proc/self/fd). `loop` must live longer.
  static absl::StatusOr<std::unique_ptr<ConsoleOutput>> Create(int fd, base::EventLoop* loop);
  // Writes what the descriptor takes at once.
  ~ConsoleOutput();
  ConsoleOutput(const ConsoleOutput&) = delete;
  ConsoleOutput& operator=(const ConsoleOutput&) = delete;

  // One byte, in order. Does not block or allocate; sometimes one write(2) or timerfd_settime(2).
  void Put(uint8_t byte) ABSL_LOCKS_EXCLUDED(mutex_);

  // Writes what is in the ring, waiting for a slow reader for at most `limit`. What is left then is
  // dropped and counted.
  void Flush(absl::Duration limit = absl::Milliseconds(500)) ABSL_LOCKS_EXCLUDED(mutex_);

  const Metrics& metrics() const { return metrics_; }

 private:
  enum class Kind { kFile, kNonBlocking, kSocket, kPollFirst };

  ConsoleOutput(Kind kind, base::UniqueFd fd, base::UniqueFd timer, base::EventLoop* loop);
  // One attempt at everything in the ring. False where the descriptor would block.
  bool WriteOut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ssize_t WriteOnce(const uint8_t* data, size_t size);
  void ArmTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Discard(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTimer() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWritable() ABSL_LOCKS_EXCLUDED(mutex_);

  const Kind kind_;
  const base::UniqueFd fd_;
  const base::UniqueFd
      timer_;  // wakes the loop: for a prompt, and when a vCPU met a full descriptor
  base::EventLoop* const loop_;
  bool watching_ = false;  // EPOLLOUT; loop thread

  absl::Mutex mutex_;
  std::array<uint8_t, kRingBytes> ring_ ABSL_GUARDED_BY(mutex_);
  size_t begin_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  bool timer_armed_ ABSL_GUARDED_BY(mutex_) = false;
  bool blocked_ ABSL_GUARDED_BY(mutex_) =
      false;  // the loop is to wait for EPOLLOUT; vCPUs do not try

  Metrics metrics_;
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_PLATFORM_CONSOLE_OUTPUT_H_
