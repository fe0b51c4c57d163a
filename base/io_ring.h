// SPDX-License-Identifier: Apache-2.0
// IoRing: the io_uring of an event loop: file I/O that completes on the loop's thread.
//
// Operations are prepared into the submission queue without a system call; the loop's one
// io_uring_enter a turn submits them and reaps what is done. Each has an IoOperation, which its
// caller owns and keeps alive, with the buffers and the iovec array, until OnComplete(); nothing is
// allocated. The ring may do only what this header names (IORING_REGISTER_RESTRICTIONS). Everything
// is for the loop's thread. Source: io_uring(7), io_uring_register(2).
#ifndef HEARTH_BASE_IO_RING_H_
#define HEARTH_BASE_IO_RING_H_

#include <liburing.h>
#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/metrics.h"

namespace hearth::base {

// One operation in flight. May be used again once OnComplete() was called, from inside it too.
class IoOperation {
 public:
  virtual ~IoOperation() = default;
  // `result` is what the system call would have returned, a negative errno for an error.
  virtual void OnComplete(int32_t result) = 0;
};

class IoRing {
 public:
  // Makes a ring that is still disabled (IORING_SETUP_R_DISABLED); fails where the kernel, a
  // seccomp filter or a sysctl does not allow io_uring.
  static absl::StatusOr<std::unique_ptr<IoRing>> Create(unsigned entries);
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  // --- For devices. A full submission queue is submitted at once, then the operation is queued.
  void Readv(int fd, const iovec* vectors, unsigned count, uint64_t offset, IoOperation* operation);
  void Writev(int fd, const iovec* vectors, unsigned count, uint64_t offset,
              IoOperation* operation);
  // fdatasync(2).
  void Fdatasync(int fd, IoOperation* operation);
  // fallocate(2).
  void Fallocate(int fd, int mode, uint64_t offset, uint64_t length, IoOperation* operation);
  // Adds 1 to an eventfd, with the turn's io_uring_enter; nobody is told of the end. Spares an
  // interrupt its own system call.
  void SignalEventfd(int fd);
  // Asks the kernel to give up `operation`; it completes in any case, maybe with -ECANCELED.
  void Cancel(IoOperation* operation);

  // Operations whose OnComplete() is still to come.
  unsigned in_flight() const { return in_flight_; }

  // --- For the event loop.
  // Restricts and enables the ring. On the thread that will use it from then on.
  absl::Status Enable();
  // Multishot, edge-triggered poll; `operation` completes with the poll mask each time, and with a
  // negative errno when the poll has ended.
  void PollMultishot(int fd, uint32_t events, IoOperation* operation);
  // One poll.
  void PollOnce(int fd, uint32_t events, IoOperation* operation);
  // Submits everything and, unless `wait` is zero, waits for a completion until then; one
  // io_uring_enter. nanoseconds::max() waits for ever.
  void SubmitAndWait(std::chrono::nanoseconds wait);
  // Calls OnComplete() of what is done. True if there was something. No system call unless the
  // kernel has asked for one (IORING_SQ_TASKRUN).
  bool Reap();
  // Anything prepared that is not submitted?
  bool pending() const;

  // io_uring_enter calls so far; any thread.
  uint64_t enters() const { return enters_.value(); }

 private:
  IoRing() = default;
  io_uring_sqe* NextSqe();

  io_uring ring_{};
  unsigned in_flight_ = 0;
  Counter enters_;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_IO_RING_H_
