// SPDX-License-Identifier: Apache-2.0
#include "base/rate_limiter.h"

#include <algorithm>
#include <limits>

namespace hearth::base {

using std::chrono::nanoseconds;

namespace {
using Uint128 = unsigned __int128;
constexpr uint64_t kMaxRefillNs = uint64_t{1} << 62;
constexpr uint64_t kNsPerMs = 1'000'000;
}  // namespace

std::optional<TokenBucket> TokenBucket::Create(const Options& options, MonotonicTime now) {
  if (options.size == 0 || options.refill_time_ms == 0) return std::nullopt;
  return TokenBucket(options, now);
}

TokenBucket::TokenBucket(const Options& options, MonotonicTime now)
    : options_(options),
      refill_ns_(options.refill_time_ms > kMaxRefillNs / kNsPerMs
                     ? kMaxRefillNs
                     : options.refill_time_ms * kNsPerMs),
      last_(now),
      budget_(options.size),
      one_time_burst_(options.one_time_burst) {}

void TokenBucket::Refill(MonotonicTime now) {
  if (now <= last_) return;
  const auto elapsed_ns = static_cast<uint64_t>(nanoseconds(now - last_).count());
  last_ = now;
  const Int128 room = options_.size - budget_;
  if (room == 0) return;
  // Below 2^63 * 2^64 + 2^62.
  const Uint128 earned = static_cast<Uint128>(elapsed_ns) * options_.size + remainder_;
  const Uint128 tokens = earned / refill_ns_;
  if (tokens >= static_cast<Uint128>(room)) {
    budget_ = options_.size;
    remainder_ = 0;
  } else {
    budget_ += static_cast<Int128>(tokens);
    remainder_ = static_cast<uint64_t>(earned % refill_ns_);
  }
}

TokenBucket::Int128 TokenBucket::Missing(uint64_t tokens) const {
  if (tokens <= one_time_burst_) return 0;
  return static_cast<Int128>(std::min(tokens - one_time_burst_, options_.size)) - budget_;
}

bool TokenBucket::Consume(uint64_t tokens, MonotonicTime now) {
  Refill(now);
  if (tokens == 0) return true;
  if (Missing(tokens) > 0) return false;
  const uint64_t from_burst = std::min(tokens, one_time_burst_);
  one_time_burst_ -= from_burst;
  budget_ -= tokens - from_burst;
  return true;
}

nanoseconds TokenBucket::TimeUntil(uint64_t tokens, MonotonicTime now) {
  Refill(now);
  const Int128 missing = Missing(tokens);
  if (tokens == 0 || missing <= 0) return nanoseconds(0);
  // The least wait with wait * size + remainder >= missing * refill; missing < 2^65, so the product
  // is below 2^127.
  const Uint128 needed = static_cast<Uint128>(missing) * refill_ns_ - remainder_;
  const Uint128 wait = (needed + options_.size - 1) / options_.size;
  constexpr auto kMax = static_cast<Uint128>(nanoseconds::max().count());
  return nanoseconds(static_cast<int64_t>(std::min(wait, kMax)));
}

TokenBucket::State TokenBucket::Save(MonotonicTime now) {
  Refill(now);
  const Int128 budget = std::clamp<Int128>(budget_, std::numeric_limits<int64_t>::min(),
                                           std::numeric_limits<int64_t>::max());
  return {.budget = static_cast<int64_t>(budget), .one_time_burst = one_time_burst_};
}

void TokenBucket::Restore(const State& state, MonotonicTime now) {
  last_ = now;
  budget_ = std::min<Int128>(state.budget, options_.size);
  remainder_ = 0;
  one_time_burst_ = std::min(state.one_time_burst, options_.one_time_burst);
}

RateLimiter::RateLimiter(const Options& options, MonotonicTime now)
    : bandwidth_(TokenBucket::Create(options.bandwidth, now)),
      ops_(TokenBucket::Create(options.ops, now)) {}

bool RateLimiter::Consume(uint64_t bytes, uint64_t ops, MonotonicTime now) {
  if (bandwidth_ && !bandwidth_->CanConsume(bytes, now)) return false;
  if (ops_ && !ops_->Consume(ops, now)) return false;
  if (bandwidth_) bandwidth_->Consume(bytes, now);
  return true;
}

nanoseconds RateLimiter::TimeUntil(uint64_t bytes, uint64_t ops, MonotonicTime now) {
  const nanoseconds for_bytes = bandwidth_ ? bandwidth_->TimeUntil(bytes, now) : nanoseconds(0);
  const nanoseconds for_ops = ops_ ? ops_->TimeUntil(ops, now) : nanoseconds(0);
  return std::max(for_bytes, for_ops);
}

void RateLimiter::SetBandwidth(const TokenBucket::Options& options, MonotonicTime now) {
  bandwidth_ = TokenBucket::Create(options, now);
}

void RateLimiter::SetOps(const TokenBucket::Options& options, MonotonicTime now) {
  ops_ = TokenBucket::Create(options, now);
}

}  // namespace hearth::base
