// SPDX-License-Identifier: Apache-2.0
// From the API's rate limiters to base's.
#ifndef HEARTH_PROTO_RATE_LIMIT_H_
#define HEARTH_PROTO_RATE_LIMIT_H_

#include "base/rate_limiter.h"
#include "proto/common.pb.h"

namespace hearth {

inline base::TokenBucket::Options ToOptions(const TokenBucketConfig& config) {
  return {.size = config.size(),
          .one_time_burst = config.one_time_burst(),
          .refill_time_ms = config.refill_time()};
}

inline base::RateLimiter::Options ToOptions(const RateLimiterConfig& config) {
  return {.bandwidth = ToOptions(config.bandwidth()), .ops = ToOptions(config.ops())};
}

// A PATCH: a bucket that is not mentioned goes on as it is.
inline void UpdateRateLimiter(const RateLimiterConfig& patch, base::MonotonicTime now,
                              base::RateLimiter* limiter) {
  if (patch.has_bandwidth()) limiter->SetBandwidth(ToOptions(patch.bandwidth()), now);
  if (patch.has_ops()) limiter->SetOps(ToOptions(patch.ops()), now);
}

}  // namespace hearth

#endif  // HEARTH_PROTO_RATE_LIMIT_H_
