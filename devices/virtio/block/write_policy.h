// SPDX-License-Identifier: Apache-2.0
// WritePolicy: whether a write into the page cache is made at once or handed to the ring.
//
// ext4 and tmpfs do not know writes that never wait (RWF_NOWAIT), so io_uring gives each one to a
// kernel thread, which costs many times the copy itself. Made at once it takes a microsecond or
// two, but it may wait for the disk where the host has too many dirty pages or the journal is full,
// and with it every device on the thread. So: at once, until one has waited; then by the ring for a
// while, for ever longer whiles if the next ones wait too.
//
// A write that took long need not have waited: the thread may have lost its CPU. To tell the two
// apart costs two more system calls a write, so it is done after a long one only.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_WRITE_POLICY_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_WRITE_POLICY_H_

#include <algorithm>
#include <chrono>

#include "base/event_loop.h"

namespace hearth::virtio::block {

class WritePolicy {
 public:
  // A write that takes longer than this is a long one.
  static constexpr std::chrono::milliseconds kLong{2};
  static constexpr std::chrono::milliseconds kFirstPause{100};
  static constexpr std::chrono::milliseconds kLongestPause{10'000};
  // How many writes are looked at closely after a long one.
  static constexpr int kSuspects = 64;

  bool MayWrite(base::MonotonicTime now) const { return now >= resume_; }
  // Is it to be found out whether the next write sleeps?
  bool suspicious() const { return suspects_ > 0; }
  // A write was made at once. `slept`: known to have waited; needs suspicious().
  void OnWritten(base::MonotonicTime from, base::MonotonicTime to, bool slept) {
    if (to - from <= kLong) {
      if (suspects_ > 0 && --suspects_ == 0) pause_ = kFirstPause;
      return;
    }
    suspects_ = kSuspects;
    if (!slept) return;
    resume_ = to + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

 private:
  int suspects_ = 0;
  std::chrono::milliseconds pause_ = kFirstPause;  // the next one
  base::MonotonicTime resume_{};
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_WRITE_POLICY_H_
