// SPDX-License-Identifier: Apache-2.0
#include "base/io_ring.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/status_macros.h"

namespace hearth::base {
namespace {

using std::chrono::nanoseconds;

// The features that the code below builds on. The last stands for multishot polls, which have no
// bit of their own and came with it in Linux 5.13.
constexpr unsigned kFeatures =
    IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS;

// A loop that stays away for a while finds its completions in the queue, not in the kernel's
// overflow list: each operation completes once, and each eventfd once a signal.
constexpr unsigned kCompletionsPerEntry = 4;

// Threads that the kernel may start for operations that block: at most so many on regular files
// (fdatasync, fallocate, writes where the file system cannot do them without), and on all others.
constexpr unsigned kMaxFileWorkers = 8;
constexpr unsigned kMaxOtherWorkers = 2;

constexpr uint64_t kOne = 1;

unsigned SetupFlags(IoRing::Mode mode) {
  constexpr unsigned kAlways = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  // An operation that cannot even start does not keep those after it from being submitted.
  constexpr unsigned kSince519 = kAlways | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG;
  switch (mode) {
    case IoRing::Mode::kDeferTaskrun:
      return kSince519 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    case IoRing::Mode::kCoopTaskrun:
      return kSince519 | IORING_SETUP_COOP_TASKRUN;
    case IoRing::Mode::kPlain:
      return kAlways;
  }
  return kAlways;
}

}  // namespace

absl::StatusOr<std::unique_ptr<IoRing>> IoRing::Create(unsigned entries, Mode best) {
  std::unique_ptr<IoRing> ring(new IoRing);
  int result = -EINVAL;
  for (const Mode mode : {Mode::kDeferTaskrun, Mode::kCoopTaskrun, Mode::kPlain}) {
    if (mode < best || result != -EINVAL) continue;
    io_uring_params params = {.cq_entries = entries * kCompletionsPerEntry,
                              .flags = SetupFlags(mode)};
    result = io_uring_queue_init_params(entries, &ring->ring_, &params);
    ring->mode_ = mode;
  }
  if (result != 0) {
    ring->ring_.ring_fd = -1;
    return ErrnoStatus(
        "io_uring_queue_init_params", "", -result,
        result == -EPERM ? "kernel.io_uring_disabled or a seccomp filter forbids it" : "");
  }
  if ((ring->ring_.features & kFeatures) != kFeatures)
    return absl::UnimplementedError("io_uring: this kernel's lacks features of Linux 5.13");
  HEARTH_RETURN_IF_ERROR(ring->Restrict());
  return ring;
}

absl::Status IoRing::Restrict() {
  constexpr uint8_t kOperations[] = {IORING_OP_READV,       IORING_OP_WRITEV, IORING_OP_FSYNC,
                                     IORING_OP_FALLOCATE,   IORING_OP_WRITE,  IORING_OP_POLL_ADD,
                                     IORING_OP_ASYNC_CANCEL};
  std::vector<io_uring_restriction> restrictions;
  for (const uint8_t operation : kOperations)
    restrictions.push_back({.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = operation});
  restrictions.push_back({.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                          .sqe_flags = static_cast<uint8_t>(IOSQE_CQE_SKIP_SUCCESS)});
  const int result = io_uring_register_restrictions(&ring_, restrictions.data(),
                                                    static_cast<unsigned>(restrictions.size()));
  if (result != 0) return ErrnoStatus("io_uring_register_restrictions", "", -result);
  return absl::OkStatus();
}

absl::Status IoRing::Enable() {
  HEARTH_CHECK(!enabled_);
  // Linux 5.15; before it, the kernel's own limits hold.
  unsigned workers[] = {kMaxFileWorkers, kMaxOtherWorkers};
  io_uring_register_iowq_max_workers(&ring_, workers);
  const int result = io_uring_enable_rings(&ring_);
  if (result != 0) return ErrnoStatus("io_uring_enable_rings", "", -result);
  enabled_ = true;
  thread_ = std::this_thread::get_id();
  return absl::OkStatus();
}

IoRing::~IoRing() {
  if (ring_.ring_fd < 0) return;
  if (enabled_ && in_flight_ > 0) {
    HEARTH_CHECK(thread_ == std::this_thread::get_id());
    // Linux 5.19; where it is refused, the operations end in their own time.
    io_uring_sqe* sqe = NextSqe();
    io_uring_prep_cancel(sqe, nullptr, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data(sqe, nullptr);
    while (in_flight_ > 0) {
      SubmitAndWait(nanoseconds::max());
      SetAside();
      for (const Completion& completion : std::exchange(set_aside_, {})) {
        if (completion.operation != nullptr &&
            completion.operation->state_ == IoOperation::State::kOnce) {
          --in_flight_;
        }
      }
    }
  }
  io_uring_queue_exit(&ring_);
}

io_uring_sqe* IoRing::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) [[unlikely]] {
      if (!Enter(0, nanoseconds::zero())) SetAside();
      sqe = io_uring_get_sqe(&ring_);
    }
  return sqe;
}

void IoRing::Start(io_uring_sqe* sqe, IoOperation* operation, IoOperation::State state) {
  HEARTH_CHECK(operation->state_ == IoOperation::State::kIdle);
  operation->state_ = state;
  if (state == IoOperation::State::kOnce) ++in_flight_;
  io_uring_sqe_set_data(sqe, operation);
}

void IoRing::Readv(int fd, const iovec* vectors, unsigned count, uint64_t offset,
                   IoOperation* operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_readv(sqe, fd, vectors, count, offset);
  Start(sqe, operation, IoOperation::State::kOnce);
}

void IoRing::Writev(int fd, const iovec* vectors, unsigned count, uint64_t offset,
                    IoOperation* operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_writev(sqe, fd, vectors, count, offset);
  Start(sqe, operation, IoOperation::State::kOnce);
}

void IoRing::Fdatasync(int fd, IoOperation* operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
  Start(sqe, operation, IoOperation::State::kOnce);
}

void IoRing::Fallocate(int fd, int mode, uint64_t offset, uint64_t length, IoOperation* operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, nullptr, static_cast<unsigned>(mode), offset);
  sqe->addr = length;
  Start(sqe, operation, IoOperation::State::kOnce);
}

void IoRing::SignalEventfd(int fd) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_write(sqe, fd, &kOne, sizeof(kOne), 0);
  io_uring_sqe_set_data(sqe, nullptr);
  if (ring_.features & IORING_FEAT_CQE_SKIP) sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void IoRing::Cancel(IoOperation* operation) {
  // After the end of the ring's thread nothing completes any more.
  if (enabled_ && thread_ != std::this_thread::get_id()) return;
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_cancel(sqe, operation, 0);
  io_uring_sqe_set_data(sqe, nullptr);
  if (ring_.features & IORING_FEAT_CQE_SKIP) sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void IoRing::PollMultishot(int fd, uint32_t events, IoOperation* operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_multishot(sqe, fd, events);
  Start(sqe, operation, IoOperation::State::kPollMultishot);
}

void IoRing::PollOnce(int fd, uint32_t events, IoOperation* operation) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_add(sqe, fd, events);
  Start(sqe, operation, IoOperation::State::kPollOnce);
}

bool IoRing::Enter(unsigned flags, nanoseconds wait) {
  HEARTH_CHECK(enabled_);
  const unsigned to_submit = io_uring_sq_ready(&ring_);
  ring_.sq.sqe_head = ring_.sq.sqe_tail;
  io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);

  __kernel_timespec timeout = {.tv_sec = wait.count() / 1'000'000'000,
                               .tv_nsec = wait.count() % 1'000'000'000};
  io_uring_getevents_arg argument = {.sigmask_sz = _NSIG / 8,
                                     .ts = std::bit_cast<uint64_t>(&timeout)};
  const bool timed = wait > nanoseconds::zero() && wait != nanoseconds::max();
  if (timed) flags |= IORING_ENTER_EXT_ARG;
  enters_.Add();
  const int result = io_uring_enter2(
      static_cast<unsigned>(ring_.ring_fd), to_submit, wait > nanoseconds::zero() ? 1 : 0, flags,
      timed ? static_cast<sigset_t*>(static_cast<void*>(&argument)) : nullptr,
      timed ? sizeof(argument) : 0);
  // EBUSY: the completion queue has overflown (before Linux 5.19). EAGAIN: no memory for a request.
  if (result == -EBUSY || result == -EAGAIN) return false;
  // Another error is ours: EEXIST is the wrong thread, EBADR a completion that the kernel lost.
  HEARTH_CHECK(result >= 0 || result == -EINTR || result == -ETIME);
  return true;
}

void IoRing::SubmitAndWait(nanoseconds wait) {
  if (!set_aside_.empty()) wait = nanoseconds::zero();
  if (!Enter(IORING_ENTER_GETEVENTS, wait)) SetAside();
}

IoRing::Completion IoRing::TakeCompletion() {
  const io_uring_cqe& cqe = ring_.cq.cqes[*ring_.cq.khead & ring_.cq.ring_mask];
  const Completion completion = {static_cast<IoOperation*>(io_uring_cqe_get_data(&cqe)), cqe.res,
                                 cqe.flags};
  // At once, so that the kernel has room again and OnComplete() may reap too.
  io_uring_cq_advance(&ring_, 1);
  return completion;
}

void IoRing::SetAside() {
  for (unsigned left = io_uring_cq_ready(&ring_); left > 0; --left)
    set_aside_.push_back(TakeCompletion());
}

bool IoRing::Reap() {
  bool any = false;
  if (!set_aside_.empty()) [[unlikely]] {
    any = true;
    for (const Completion& completion : std::exchange(set_aside_, {})) Complete(completion);
  }
  // What comes meanwhile is for the next turn.
  const unsigned tail = io_uring_smp_load_acquire(ring_.cq.ktail);
  while (static_cast<int>(tail - *ring_.cq.khead) > 0) {
    any = true;
    Complete(TakeCompletion());
  }
  return any;
}

void IoRing::Complete(const Completion& completion) {
  IoOperation* const operation = completion.operation;
  if (operation == nullptr) return;  // a signal or a cancellation
  if (completion.flags & IORING_CQE_F_MORE) {
    operation->OnComplete(completion.result);
    return;
  }
  const IoOperation::State state = std::exchange(operation->state_, IoOperation::State::kIdle);
  if (state == IoOperation::State::kOnce) --in_flight_;
  if (state == IoOperation::State::kPollMultishot && completion.result >= 0) {
    // The kernel had no room to go on: an event and the end in one.
    operation->OnComplete(completion.result);
    operation->OnComplete(-ENOBUFS);
    return;
  }
  operation->OnComplete(completion.result);
}

}  // namespace hearth::base
