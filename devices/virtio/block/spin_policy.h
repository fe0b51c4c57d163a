// SPDX-License-Identifier: Apache-2.0
// SpinPolicy: whether looking for the next request beats sleeping until it is announced.
//
// A driver that waits for each answer sends its next request within microseconds. Announcing it
// costs the guest an exit and the host a wake-up, many times that. But looking costs a CPU, so it
// has to have paid: requests that would have been caught earn credit, looks in vain spend it fast.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_SPIN_POLICY_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_SPIN_POLICY_H_

#include <chrono>

#include "base/event_loop.h"

namespace hearth::virtio::block {

class SpinPolicy {
 public:
  // How long a look lasts at most.
  static constexpr std::chrono::microseconds kWindow{50};
  // A request that was announced this soon after an answer would have been caught: announcing takes
  // some of that time.
  static constexpr std::chrono::microseconds kSoon{100};
  static constexpr int kStart = 4;
  static constexpr int kMost = 16;
  static constexpr int kMissCost = 6;

  // An announced request arrived.
  void OnAnnounced(base::MonotonicTime now) {
    const bool soon = now - last_answer_ <= kSoon;
    credit_ = soon ? (credit_ < kMost ? credit_ + 1 : kMost) : 0;
  }
  // The device has answered.
  void OnAnswer(base::MonotonicTime now) { last_answer_ = now; }
  // A look found a request, or ended in vain.
  void OnHit() { credit_ = credit_ < kMost ? credit_ + 1 : kMost; }
  void OnMiss() { credit_ = credit_ > kMissCost ? credit_ - kMissCost : 0; }

  bool worth_it() const { return credit_ >= kStart; }

 private:
  int credit_ = 0;
  base::MonotonicTime last_answer_{};
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_SPIN_POLICY_H_
