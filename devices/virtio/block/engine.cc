// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/engine.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::virtio::block {
namespace {

constexpr uint32_t kSkipAfterMiss = 64;

int64_t ResultOrErrno(ssize_t result) { return result < 0 ? -errno : result; }

int64_t Make(const IoCall& call) {
  const int count = static_cast<int>(call.vectors.size());
  const auto offset = static_cast<off_t>(call.offset);
  switch (call.kind) {
    case IoCall::Kind::kRead:
      return ResultOrErrno(preadv2(call.fd, call.vectors.data(), count, offset, 0));
    case IoCall::Kind::kWrite:
      return ResultOrErrno(pwritev2(call.fd, call.vectors.data(), count, offset, 0));
    case IoCall::Kind::kSync:
      return ResultOrErrno(fdatasync(call.fd));
    case IoCall::Kind::kAllocate:
      return ResultOrErrno(fallocate(call.fd, call.mode, offset, static_cast<off_t>(call.length)));
  }
  return -EINVAL;
}

}  // namespace

void SyncEngine::Start(Io* io, bool) {
  while (!io->Advance(Make(io->NextCall()))) {
  }
  io->Finish();
}

void RingEngine::Start(Io* io, bool alone) {
  io->set_stepper(this);
  if (alone && io->kind() == Io::Kind::kRead && TryPageCache(io)) {
    io->Finish();
  } else {
    Step(io);
  }
}

// True if `io` is at its end.
bool RingEngine::TryPageCache(Io* io) {
  if (skip_page_cache_ > 0) {
    --skip_page_cache_;
    return false;
  }
  const IoCall call = io->NextCall();
  const ssize_t result =
      preadv2(call.fd, call.vectors.data(), static_cast<int>(call.vectors.size()),
              static_cast<off_t>(call.offset), RWF_NOWAIT);
  if (result > 0 && io->Advance(result)) return true;
  // Not, or not all, in the page cache; or an error, which the ring will see again.
  skip_page_cache_ = kSkipAfterMiss;
  return false;
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
