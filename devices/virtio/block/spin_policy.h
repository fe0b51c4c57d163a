// SPDX-License-Identifier: Apache-2.0
// SpinPolicy: whether looking for the next request beats sleeping until it is announced.
//
// A driver that waits for each answer sends its next request within microseconds. Announcing it
// costs the guest an exit and the host a wake-up, many times that. But looking costs a CPU, so it
// has to pay: a look that finds a request earns credit, a look in vain costs several times that.
// Without credit the device looks by trial, after ever more answers: to know what it would find, it
// has to spare the driver the announcement, so nothing else can tell.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_SPIN_POLICY_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_SPIN_POLICY_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace hearth::virtio::block {

class SpinPolicy {
 public:
  // How long a look lasts at most.
  static constexpr std::chrono::microseconds kLook{50};
  // A trial begins while the vCPU is still on its way back from announcing.
  static constexpr std::chrono::microseconds kTrial{200};
  static constexpr uint32_t kMost = 16;
  static constexpr uint32_t kMissCost = 4;
  // Answers before a trial, and before the next when it was in vain again and again.
  static constexpr uint32_t kFirstTrial = 32;
  static constexpr uint32_t kRarestTrial = 1024;

  // The device has answered.
  void OnAnswer() {
    if (credit_ > 0 || ++answers_ < interval_) return;
    answers_ = 0;
    trial_ = true;
  }
  // A look found a request, or ended in vain.
  void OnHit() {
    trial_ = false;
    credit_ = std::min(credit_ + 1, kMost);
    if (credit_ > kMissCost) interval_ = kFirstTrial;
  }
  void OnMiss() {
    if (trial_) interval_ = std::min(interval_ * 2, kRarestTrial);
    trial_ = false;
    credit_ -= std::min(credit_, kMissCost);
  }

  bool worth_it() const { return trial_ || credit_ > 0; }
  std::chrono::microseconds look() const { return trial_ ? kTrial : kLook; }

 private:
  uint32_t credit_ = 0;
  bool trial_ = false;
  uint32_t answers_ = 0;
  uint32_t interval_ = kFirstTrial;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_SPIN_POLICY_H_
