// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/engine.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace hearth::virtio::block {
namespace {

constexpr uint32_t kSkipAfterMiss = 64;

int64_t ResultOrErrno(ssize_t result) { return result < 0 ? -errno : result; }

int64_t Make(const IoCall& call, int flags) {
  const int count = static_cast<int>(call.vectors.size());
  const auto offset = static_cast<off_t>(call.offset);
  switch (call.kind) {
    case IoCall::Kind::kRead:
      return ResultOrErrno(preadv2(call.fd, call.vectors.data(), count, offset, flags));
    case IoCall::Kind::kWrite:
      return ResultOrErrno(pwritev2(call.fd, call.vectors.data(), count, offset, flags));
    case IoCall::Kind::kSync:
      return ResultOrErrno(fdatasync(call.fd));
    case IoCall::Kind::kAllocate:
      return ResultOrErrno(fallocate(call.fd, call.mode, offset, static_cast<off_t>(call.length)));
  }
  return -EINVAL;
}

// How often this thread has given up its CPU to wait for something.
int64_t Sleeps() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

}  // namespace

void SyncEngine::Start(Io* io, bool) {
  while (!io->Advance(Make(io->NextCall(), 0))) {
  }
  io->Finish();
}

void RingEngine::Start(Io* io, bool alone) {
  io->set_stepper(this);
  bool done = false;
  if (io->buffered()) {
    if (io->kind() == Io::Kind::kRead) done = alone && TryRead(io);
    if (io->kind() == Io::Kind::kWrite) done = TryWrite(io, alone);
  }
  if (done) {
    io->Finish();
  } else {
    Step(io);
  }
}

bool RingEngine::TryRead(Io* io) {
  if (skip_reads_ > 0) {
    --skip_reads_;
    return false;
  }
  const int64_t result = Make(io->NextCall(), RWF_NOWAIT);
  if (result > 0 && io->Advance(result)) return true;
  // Not, or not all, in the page cache; or an error, which the ring will see again.
  skip_reads_ = kSkipAfterMiss;
  return false;
}

bool RingEngine::TryWrite(Io* io, bool alone) {
  const IoCall call = io->NextCall();
  if (nowait_writes_) {
    // The ring does it without a thread, and for many with one call.
    if (!alone) return false;
    const int64_t result = Make(call, RWF_NOWAIT);
    if (result != -EOPNOTSUPP) return result > 0 && io->Advance(result);
    nowait_writes_ = false;
  }
  // A part of a page may have to be read first.
  const base::MonotonicTime from = std::chrono::steady_clock::now();
  if (!io->whole_pages() || !write_policy_.MayWrite(from)) return false;
  const bool suspicious = write_policy_.suspicious();
  const int64_t sleeps = suspicious ? Sleeps() : 0;
  const int64_t result = Make(call, 0);
  const bool slept = suspicious && Sleeps() != sleeps;
  write_policy_.OnWritten(from, std::chrono::steady_clock::now(), slept);
  return io->Advance(result);
}

void RingEngine::Step(Io* io) {
  const IoCall call = io->NextCall();
  const auto count = static_cast<unsigned>(call.vectors.size());
  switch (call.kind) {
    case IoCall::Kind::kRead:
      return ring_.Readv(call.fd, call.vectors.data(), count, call.offset, io);
    case IoCall::Kind::kWrite:
      return ring_.Writev(call.fd, call.vectors.data(), count, call.offset, io);
    case IoCall::Kind::kSync:
      return ring_.Fdatasync(call.fd, io);
    case IoCall::Kind::kAllocate:
      return ring_.Fallocate(call.fd, call.mode, call.offset, call.length, io);
  }
}

}  // namespace hearth::virtio::block
