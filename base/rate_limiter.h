// SPDX-License-Identifier: Apache-2.0
// TokenBucket and RateLimiter: limits on bytes and operations of a device.
//
// A bucket holds at most `size` tokens and gains `size` tokens every `refill_time_ms`, evenly; a
// spare stock
// (`one_time_burst`) is used up first and never grows back. The arithmetic is exact: however often
// and at whatever moments a bucket is asked, over any time it gives out what the configuration
// says, to the token.
//
// A request larger than `size` could never be met, so it is let through when the bucket is full and
// leaves a debt, which has to be paid off before anything else passes: the average rate holds for
// requests of any size.
//
// The time is an argument, so nothing here reads a clock, and a caller that serves many requests in
// one turn reads its own once. A time before the last one seen counts as the last one. Not
// thread-safe: the owner's thread or lock.
#ifndef HEARTH_BASE_RATE_LIMITER_H_
#define HEARTH_BASE_RATE_LIMITER_H_

#include <chrono>
#include <cstdint>
#include <optional>

namespace hearth::base {

using MonotonicTime = std::chrono::steady_clock::time_point;

class TokenBucket {
 public:
  struct Options {
    uint64_t size = 0;
    uint64_t one_time_burst = 0;
    uint64_t refill_time_ms = 0;
    bool operator==(const Options&) const = default;
  };
  // What a snapshot keeps: how full the bucket was. Time that passes while the machine is saved
  // refills nothing.
  struct State {
    int64_t budget = 0;  // below 0: debt
    uint64_t one_time_burst = 0;
  };

  // nullopt, which means "no limit", where `size` or `refill_time_ms` is 0 (Firecracker's rule). A
  // new bucket is full.
  static std::optional<TokenBucket> Create(const Options& options, MonotonicTime now);

  // Takes `tokens`, all or nothing; false where they are not there yet. 0 tokens are always there.
  bool Consume(uint64_t tokens, MonotonicTime now);
  // Would Consume() take them now?
  bool CanConsume(uint64_t tokens, MonotonicTime now) {
    return TimeUntil(tokens, now).count() == 0;
  }
  // The least time from `now` after which Consume(tokens) succeeds if nobody consumes in between; 0
  // for now, at most nanoseconds::max(). Rounded up to the nanosecond: a timer set to it never
  // fires too early.
  std::chrono::nanoseconds TimeUntil(uint64_t tokens, MonotonicTime now);

  const Options& options() const { return options_; }
  State Save(MonotonicTime now);
  // Values outside what `options` allow are clamped: a snapshot file is hostile.
  void Restore(const State& state, MonotonicTime now);

 private:
  using Int128 = __int128;
  TokenBucket(const Options& options, MonotonicTime now);
  void Refill(MonotonicTime now);
  // Tokens that are missing for a request; <= 0 if it can be met.
  Int128 Missing(uint64_t tokens) const;

  Options options_;
  uint64_t refill_ns_;  // capped at 2^62, 146 years, so that products fit 128 bits
  MonotonicTime last_;
  Int128 budget_;           // at most size; at least size - 2^64
  uint64_t remainder_ = 0;  // of a token, in 1 / refill_ns_; 0 while the bucket is full
  uint64_t one_time_burst_;
};

// Two buckets, either of which may be missing: a request passes when both have its tokens, and
// takes from both or from none.
class RateLimiter {
 public:
  struct Options {
    TokenBucket::Options bandwidth;  // bytes
    TokenBucket::Options ops;
    bool operator==(const Options&) const = default;
  };

  // Limits nothing.
  RateLimiter() = default;
  RateLimiter(const Options& options, MonotonicTime now);

  bool unlimited() const { return !bandwidth_ && !ops_; }
  bool Consume(uint64_t bytes, uint64_t ops, MonotonicTime now);
  std::chrono::nanoseconds TimeUntil(uint64_t bytes, uint64_t ops, MonotonicTime now);

  // Replaces one bucket by a new, full one (or by none). What is not replaced keeps its level.
  void SetBandwidth(const TokenBucket::Options& options, MonotonicTime now);
  void SetOps(const TokenBucket::Options& options, MonotonicTime now);

  std::optional<TokenBucket>& bandwidth() { return bandwidth_; }
  std::optional<TokenBucket>& ops() { return ops_; }

 private:
  std::optional<TokenBucket> bandwidth_;
  std::optional<TokenBucket> ops_;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_RATE_LIMITER_H_
