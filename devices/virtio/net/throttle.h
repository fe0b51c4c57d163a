// SPDX-License-Identifier: Apache-2.0
// Throttle: a rate limiter that says when to try again.
//
// Device thread. Packets that do not pass wait where they are; the callback comes at the exact time
// at which the one that was refused last would pass, and only then.
#ifndef HEARTH_DEVICES_VIRTIO_NET_THROTTLE_H_
#define HEARTH_DEVICES_VIRTIO_NET_THROTTLE_H_

#include <cstdint>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "base/event_loop.h"
#include "base/rate_limiter.h"

namespace hearth::virtio::net {

class Throttle {
 public:
  Throttle(base::EventLoop* loop, const base::RateLimiter::Options& options,
           absl::AnyInvocable<void()> on_ready)
      : limiter_(options, std::chrono::steady_clock::now()), timer_(loop, std::move(on_ready)) {}

  bool unlimited() const { return limiter_.unlimited(); }
  // One packet of `bytes`. False: not yet, and the callback will come.
  bool Take(uint64_t bytes, base::MonotonicTime now) {
    if (limiter_.Consume(bytes, 1, now)) return true;
    const std::chrono::nanoseconds wait = limiter_.TimeUntil(bytes, 1, now);
    // Without overflow: a bucket may take centuries to fill.
    deadline_ = wait < base::MonotonicTime::max() - now ? now + wait : base::MonotonicTime::max();
    timer_.Set(deadline_);
    return false;
  }
  // Of the last packet that was refused.
  base::MonotonicTime deadline() const { return deadline_; }
  // No callback comes until the next refusal.
  void Stop() { timer_.Cancel(); }

  base::RateLimiter& limiter() { return limiter_; }

 private:
  base::RateLimiter limiter_;
  base::Timer timer_;
  base::MonotonicTime deadline_{};
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_THROTTLE_H_
