// SPDX-License-Identifier: Apache-2.0
// SpinPolicy: whether to look for the guest's next packet instead of sleeping until it notifies.
//
// A notification costs the guest an exit and the host a wake-up; a look costs a CPU. So looking has
// to have paid: notifications that came soon after the last packet, in either direction, earn
// credit, and looks in vain spend it faster.
#ifndef HEARTH_DEVICES_VIRTIO_NET_SPIN_POLICY_H_
#define HEARTH_DEVICES_VIRTIO_NET_SPIN_POLICY_H_

#include <algorithm>
#include <chrono>

#include "base/event_loop.h"

namespace hearth::virtio::net {

class SpinPolicy {
 public:
  // How long a look lasts.
  static constexpr std::chrono::microseconds kWindow{50};
  // What is notified this soon would have been seen within the window: the notification itself
  // takes the rest.
  static constexpr std::chrono::microseconds kSoon{100};
  static constexpr int kEnough = 4;
  static constexpr int kMost = 16;
  static constexpr int kMissCost = 6;

  void OnNotified(base::MonotonicTime now) {
    credit_ = now - last_packet_ <= kSoon ? std::min(credit_ + 1, kMost) : 0;
  }
  void OnPacket(base::MonotonicTime now) { last_packet_ = now; }
  void OnHit() { credit_ = std::min(credit_ + 1, kMost); }
  void OnMiss() { credit_ = std::max(credit_ - kMissCost, 0); }

  bool worth_it() const { return credit_ >= kEnough; }

 private:
  int credit_ = 0;
  base::MonotonicTime last_packet_{};
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_SPIN_POLICY_H_
