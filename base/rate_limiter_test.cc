// SPDX-License-Identifier: Apache-2.0
#include "base/rate_limiter.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace hearth::base {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();
const MonotonicTime kStart{seconds(1000)};

TokenBucket MakeBucket(const TokenBucket::Options& options) {
  return *TokenBucket::Create(options, kStart);
}

TEST(TokenBucketTest, ZeroMeansNoLimit) {
  EXPECT_FALSE(TokenBucket::Create({.size = 0, .refill_time_ms = 1}, kStart));
  EXPECT_FALSE(TokenBucket::Create({.size = 1, .refill_time_ms = 0}, kStart));
}

TEST(TokenBucketTest, StartsFullAndRefillsEvenly) {
  TokenBucket bucket = MakeBucket({.size = 1000, .refill_time_ms = 1000});
  EXPECT_TRUE(bucket.Consume(1000, kStart));
  EXPECT_FALSE(bucket.Consume(1, kStart));
  EXPECT_EQ(bucket.TimeUntil(1, kStart), milliseconds(1));
  EXPECT_EQ(bucket.TimeUntil(500, kStart), milliseconds(500));
  EXPECT_FALSE(bucket.Consume(1, kStart + nanoseconds(999'999)));
  EXPECT_TRUE(bucket.Consume(1, kStart + milliseconds(1)));
  EXPECT_FALSE(bucket.Consume(1, kStart + milliseconds(1)));
  // Never over the brim.
  EXPECT_TRUE(bucket.Consume(1000, kStart + hours(1)));
  EXPECT_FALSE(bucket.Consume(1, kStart + hours(1)));
}

TEST(TokenBucketTest, AFailedRequestTakesNothing) {
  TokenBucket bucket = MakeBucket({.size = 10, .one_time_burst = 5, .refill_time_ms = 10});
  EXPECT_TRUE(bucket.Consume(12, kStart));
  EXPECT_FALSE(bucket.Consume(4, kStart));
  EXPECT_TRUE(bucket.Consume(3, kStart));
}

TEST(TokenBucketTest, TheBurstGoesFirstAndNeverComesBack) {
  TokenBucket bucket = MakeBucket({.size = 10, .one_time_burst = 100, .refill_time_ms = 10});
  EXPECT_TRUE(bucket.Consume(60, kStart));
  EXPECT_TRUE(bucket.Consume(50, kStart));
  EXPECT_FALSE(bucket.Consume(1, kStart));
  EXPECT_TRUE(bucket.Consume(10, kStart + hours(1)));
  EXPECT_FALSE(bucket.Consume(1, kStart + hours(1)));
}

TEST(TokenBucketTest, ALargeRequestPassesWhenFullAndLeavesADebt) {
  TokenBucket bucket = MakeBucket({.size = 100, .refill_time_ms = 100});
  EXPECT_TRUE(bucket.Consume(1, kStart));
  EXPECT_FALSE(bucket.Consume(1000, kStart));  // not full
  EXPECT_EQ(bucket.TimeUntil(1000, kStart), milliseconds(1));
  const MonotonicTime full = kStart + milliseconds(1);
  EXPECT_TRUE(bucket.Consume(1000, full));
  EXPECT_TRUE(bucket.Consume(0, full));
  EXPECT_EQ(bucket.TimeUntil(1, full), milliseconds(901));
  EXPECT_FALSE(bucket.Consume(1, full + milliseconds(900)));
  EXPECT_TRUE(bucket.Consume(1, full + milliseconds(901)));
}

TEST(TokenBucketTest, TimeDoesNotRunBackwards) {
  TokenBucket bucket = MakeBucket({.size = 10, .refill_time_ms = 10});
  EXPECT_TRUE(bucket.Consume(10, kStart + milliseconds(5)));
  EXPECT_FALSE(bucket.Consume(1, kStart));
  EXPECT_FALSE(bucket.Consume(1, kStart + milliseconds(5)));
  EXPECT_TRUE(bucket.Consume(1, kStart + milliseconds(6)));
}

// Asked at odd moments for years, the bucket gives exactly what it should: no rounding adds up.
TEST(TokenBucketTest, IsExactOverLongTimes) {
  for (const uint64_t size : {uint64_t{3}, uint64_t{7919}, uint64_t{1} << 40}) {
    TokenBucket bucket = MakeBucket({.size = size, .refill_time_ms = 777});
    ASSERT_TRUE(bucket.Consume(size, kStart));
    std::mt19937_64 random(42);
    MonotonicTime now = kStart;
    unsigned __int128 taken = 0;
    for (int i = 0; i < 200'000; ++i) {
      now += nanoseconds(random() % 300'000'000);
      // Half of what is there or so, one by one powers of two, so that the bucket never gets full.
      for (uint64_t n = size; n > 0; n /= 2) {
        if (bucket.Consume(n, now)) taken += n;
      }
    }
    const auto elapsed = static_cast<unsigned __int128>(nanoseconds(now - kStart).count());
    EXPECT_TRUE(taken == elapsed * size / 777'000'000) << size;
  }
}

// TimeUntil() is the least sufficient time, to the nanosecond.
TEST(TokenBucketTest, TimeUntilIsTight) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const TokenBucket::Options options = {.size = 1 + (random() >> (random() % 64)),
                                          .one_time_burst = random() % 3,
                                          .refill_time_ms = 1 + random() % 100'000};
    TokenBucket bucket = MakeBucket(options);
    MonotonicTime now = kStart;
    for (int j = 0; j < 4; ++j) {
      const uint64_t tokens = 1 + (random() >> (random() % 64));
      const nanoseconds wait = bucket.TimeUntil(tokens, now);
      if (wait > hours(24 * 365 * 100)) break;
      if (wait.count() > 0) {
        TokenBucket early = bucket;
        EXPECT_FALSE(early.Consume(tokens, now + wait - nanoseconds(1)));
      }
      now += wait;
      ASSERT_TRUE(bucket.Consume(tokens, now)) << options.size << " " << tokens;
    }
  }
}

TEST(TokenBucketTest, ExtremesDoNotOverflow) {
  TokenBucket bucket =
      MakeBucket({.size = kMax64, .one_time_burst = kMax64, .refill_time_ms = kMax64});
  EXPECT_TRUE(bucket.Consume(kMax64, kStart));
  EXPECT_TRUE(bucket.Consume(kMax64, kStart));
  EXPECT_GT(bucket.TimeUntil(kMax64, kStart), hours(24 * 365 * 100));
  EXPECT_TRUE(bucket.Consume(kMax64, MonotonicTime::max()));  // after the cap of 146 years

  TokenBucket slow = MakeBucket({.size = 1, .refill_time_ms = kMax64});
  EXPECT_TRUE(slow.Consume(kMax64, kStart));
  EXPECT_EQ(slow.TimeUntil(1, kStart), nanoseconds::max());

  TokenBucket fast = MakeBucket({.size = kMax64, .refill_time_ms = 1});
  EXPECT_TRUE(fast.Consume(kMax64, kStart));
  EXPECT_EQ(fast.TimeUntil(1, kStart), nanoseconds(1));
  EXPECT_TRUE(fast.Consume(kMax64, MonotonicTime::max()));
}

TEST(TokenBucketTest, SaveAndRestoreKeepTheLevelAndClampNonsense) {
  const TokenBucket::Options options = {.size = 100, .one_time_burst = 10, .refill_time_ms = 100};
  TokenBucket bucket = MakeBucket(options);
  EXPECT_TRUE(bucket.Consume(70, kStart));
  const TokenBucket::State state = bucket.Save(kStart + milliseconds(5));
  EXPECT_EQ(state.budget, 45);
  EXPECT_EQ(state.one_time_burst, 0u);
  TokenBucket restored = *TokenBucket::Create(options, kStart + hours(1));
  restored.Restore(state, kStart + hours(1));
  EXPECT_FALSE(restored.Consume(46, kStart + hours(1)));
  EXPECT_TRUE(restored.Consume(45, kStart + hours(1)));
  restored.Restore({.budget = std::numeric_limits<int64_t>::max(), .one_time_burst = kMax64},
                   kStart);
  EXPECT_TRUE(restored.Consume(110, kStart));
  EXPECT_FALSE(restored.Consume(1, kStart));
  restored.Restore({.budget = std::numeric_limits<int64_t>::min(), .one_time_burst = 0}, kStart);
  EXPECT_GT(restored.TimeUntil(1, kStart), hours(1));
}

TEST(RateLimiterTest, NoBucketsLimitNothing) {
  RateLimiter limiter;
  EXPECT_TRUE(limiter.unlimited());
  EXPECT_TRUE(limiter.Consume(kMax64, kMax64, kStart));
  EXPECT_EQ(limiter.TimeUntil(kMax64, kMax64, kStart), nanoseconds(0));
}

TEST(RateLimiterTest, TakesFromBothOrFromNone) {
  RateLimiter limiter({.bandwidth = {.size = 1000, .refill_time_ms = 1000},
                       .ops = {.size = 2, .refill_time_ms = 100}},
                      kStart);
  EXPECT_TRUE(limiter.Consume(10, 1, kStart));
  EXPECT_FALSE(limiter.Consume(991, 1, kStart));  // bytes are missing: the operation stays
  EXPECT_TRUE(limiter.Consume(10, 1, kStart));
  EXPECT_FALSE(limiter.Consume(10, 1, kStart));  // operations are missing: the bytes stay
  EXPECT_EQ(limiter.TimeUntil(10, 1, kStart), milliseconds(50));
  EXPECT_EQ(limiter.TimeUntil(1000, 1, kStart), milliseconds(50));
  EXPECT_EQ(limiter.TimeUntil(980, 0, kStart), nanoseconds(0));
  EXPECT_TRUE(limiter.Consume(980, 0, kStart));
}

TEST(RateLimiterTest, ABucketIsReplacedAlone) {
  RateLimiter limiter({.bandwidth = {.size = 10, .refill_time_ms = 1000},
                       .ops = {.size = 10, .refill_time_ms = 1000}},
                      kStart);
  EXPECT_TRUE(limiter.Consume(10, 10, kStart));
  limiter.SetBandwidth({.size = 5, .refill_time_ms = 1000}, kStart);
  EXPECT_FALSE(limiter.Consume(1, 1, kStart));
  EXPECT_TRUE(limiter.Consume(5, 0, kStart));
  limiter.SetOps({}, kStart);
  EXPECT_FALSE(limiter.ops().has_value());
  EXPECT_FALSE(limiter.unlimited());
}

}  // namespace
}  // namespace hearth::base
