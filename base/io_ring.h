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
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/metrics.h"

namespace hearth::base {

// One operation in flight. May be used again once OnComplete() was called, from inside it too.
class IoOperation {
 public:
  virtual ~IoOperation() = default;
  // `result` is what the system call would have returned, a negative errno for an error.
  virtual void OnComplete(int32_t result) = 0;

 private:
  friend class IoRing;
  enum class State : uint8_t { kIdle, kOnce, kPollOnce, kPollMultishot };
  State state_ = State::kIdle;
};

class IoRing {
 public:
  // How completions reach us, best first: when we enter the kernel and only then (Linux 6.1), when
  // we next enter it for any reason (5.19), or by interrupting the thread.
  enum class Mode : uint8_t { kDeferTaskrun, kCoopTaskrun, kPlain };

  // Makes a ring that may do only what it needs and is still disabled (IORING_SETUP_R_DISABLED);
  // fails where the kernel is older than 5.13, or a seccomp filter or a sysctl does not allow
  // io_uring. Takes the best mode that the kernel has; tests ask for a lesser one.
  static absl::StatusOr<std::unique_ptr<IoRing>> Create(unsigned entries,
                                                        Mode best = Mode::kDeferTaskrun);
  // Devices' operations in flight are cancelled (Linux 5.19) and waited for, so that the kernel
  // lets go of their buffers; their OnComplete() is not called. That works on the ring's thread
  // only: elsewhere, as after the end of that thread, none may be in flight (checked).
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
  // interrupt its own system call. The eventfd must be EFD_NONBLOCK: with another the kernel hands
  // the write to a worker thread, for fear that it might block.
  void SignalEventfd(int fd);
  // Asks the kernel to give up `operation`; it completes in any case, maybe with -ECANCELED.
  void Cancel(IoOperation* operation);

  // Operations of devices whose OnComplete() is still to come; polls are not counted.
  unsigned in_flight() const { return in_flight_; }

  // --- For the event loop.
  // Enables the ring: it belongs to the calling thread from now on, and only now takes operations.
  absl::Status Enable();
  Mode mode() const { return mode_; }
  // Multishot, edge-triggered poll; `operation` completes with the poll mask each time, and with a
  // negative errno when the poll has ended: -ENOBUFS if only for want of room.
  void PollMultishot(int fd, uint32_t events, IoOperation* operation);
  // One poll; completes once, with the poll mask or a negative errno.
  void PollOnce(int fd, uint32_t events, IoOperation* operation);
  // Submits everything and, unless `wait` is zero, waits for a completion until then; one
  // io_uring_enter. nanoseconds::max() waits for ever. May return early.
  void SubmitAndWait(std::chrono::nanoseconds wait);
  // Calls OnComplete() of what is done. True if there was something. No system call.
  bool Reap();
  // Anything prepared that is not submitted?
  bool pending() const { return io_uring_sq_ready(&ring_) > 0; }
  // Anything for Reap()?
  bool ready() const { return io_uring_cq_ready(&ring_) > 0 || !set_aside_.empty(); }
  // Does the kernel hold completions until SubmitAndWait() (IORING_SQ_TASKRUN)?
  bool wants_enter() const {
    return IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
  }

  // io_uring_enter calls so far; any thread.
  uint64_t enters() const { return enters_.value(); }

 private:
  friend class IoRingTest;
  struct Completion {
    IoOperation* operation;
    int32_t result;
    uint32_t flags;
  };

  IoRing() = default;
  absl::Status Restrict();
  // A free entry, of which only the operation's own fields are to be filled in.
  io_uring_sqe* NextSqe();
  void Start(io_uring_sqe* sqe, IoOperation* operation, IoOperation::State state);
  // One io_uring_enter. False if the kernel has no room: SetAside() before the next.
  bool Enter(unsigned flags, std::chrono::nanoseconds wait);
  Completion TakeCompletion();
  void SetAside();
  void Complete(const Completion& completion);

  io_uring ring_{};
  Mode mode_ = Mode::kPlain;
  bool enabled_ = false;
  std::thread::id thread_;  // that enabled it
  unsigned in_flight_ = 0;
  // Taken from a full completion queue to make room; first to be reaped.
  std::vector<Completion> set_aside_;
  Counter enters_;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_IO_RING_H_
