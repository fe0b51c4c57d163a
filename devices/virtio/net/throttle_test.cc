// SPDX-License-Identifier: Apache-2.0
// The rate limiters: exact by a clock of the test's, and by the real one never a stall.
#include <algorithm>
#include <chrono>
#include <string>

#include "devices/virtio/net/net_test_base.h"
#include "devices/virtio/net/throttle.h"

namespace hearth::virtio::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

// Sends packets of `bytes` as fast as the throttle lets them, waiting to each deadline, from `from`
// to `until`; how many.
uint64_t Count(Throttle* throttle, uint64_t bytes, base::MonotonicTime from,
               base::MonotonicTime until) {
  uint64_t packets = 0;
  for (base::MonotonicTime now = from; now < until;) {
    if (throttle->Take(bytes, now)) {
      ++packets;
      continue;
    }
    EXPECT_GT(throttle->deadline(), now);
    now = throttle->deadline();
    if (now >= until) break;
    EXPECT_TRUE(throttle->Take(bytes, now)) << "the deadline is too early";
    ++packets;
  }
  return packets;
}

TEST(ThrottleTest, KeepsTheRateForAnyRefillTime) {
  TestLoop loop(TestLoop::Mode::kInline);
  for (const uint64_t refill_ms : {1, 10, 100, 1000, 10000}) {
    for (const uint64_t bytes : {64, 1514, 65000}) {
      // 10 MB/s and 5000 packets/s, whichever is less; a bucket holds what a refill time gives.
      const base::RateLimiter::Options options = {
          .bandwidth = {.size = 10'000 * refill_ms, .refill_time_ms = refill_ms},
          .ops = {.size = 5 * refill_ms, .refill_time_ms = refill_ms}};
      Throttle throttle(loop.loop(), options, [] {});
      const base::MonotonicTime start = std::chrono::steady_clock::now();
      // The bucket's first filling is spent, then the rate holds.
      (void)Count(&throttle, bytes, start, start + seconds(1));
      const uint64_t packets = Count(&throttle, bytes, start + seconds(1), start + seconds(21));
      const double wanted = std::min(10'000'000.0 / static_cast<double>(bytes), 5000.0) * 20;
      EXPECT_NEAR(static_cast<double>(packets), wanted, wanted * 0.02)
          << refill_ms << " ms, " << bytes << " bytes";
    }
  }
}

// The least refill time of the API is a millisecond; the same rate in finer grains is had by a
// smaller bucket: one packet every 0.1 ms.
TEST(ThrottleTest, KeepsTheRatePacketByPacket) {
  TestLoop loop(TestLoop::Mode::kInline);
  Throttle throttle(loop.loop(), {.ops = {.size = 10, .refill_time_ms = 1}}, [] {});
  const base::MonotonicTime start = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(throttle.Take(64, start));
  for (int i = 1; i <= 1000; ++i) {
    EXPECT_FALSE(throttle.Take(64, start + i * std::chrono::microseconds(100) - nanoseconds(1)));
    EXPECT_EQ(throttle.deadline(), start + i * std::chrono::microseconds(100));
    EXPECT_TRUE(throttle.Take(64, throttle.deadline()));
  }
}

TEST(ThrottleTest, HonoursTheBurstOnce) {
  TestLoop loop(TestLoop::Mode::kInline);
  Throttle throttle(loop.loop(),
                    {.ops = {.size = 10, .one_time_burst = 100, .refill_time_ms = 1000}}, [] {});
  const base::MonotonicTime start = std::chrono::steady_clock::now();
  int packets = 0;
  while (throttle.Take(64, start)) ++packets;
  EXPECT_EQ(packets, 110);
  packets = 0;
  while (throttle.Take(64, start + seconds(100))) ++packets;
  EXPECT_EQ(packets, 10);
}

TEST(ThrottleTest, ALimitThatLastsForCenturiesDoesNotOverflow) {
  TestLoop loop(TestLoop::Mode::kInline);
  Throttle throttle(loop.loop(), {.ops = {.size = 1, .refill_time_ms = ~0ull}}, [] {});
  const base::MonotonicTime start = std::chrono::steady_clock::now();
  EXPECT_TRUE(throttle.Take(64, start));
  EXPECT_FALSE(throttle.Take(64, start));
  EXPECT_GT(throttle.deadline(), start + std::chrono::hours(24 * 365));
}

NetOptions Limited(uint64_t rx_ops, uint64_t tx_ops) {
  return {.path = "network-interfaces/eth0",
          .rx_limit = {.ops = {.size = rx_ops, .refill_time_ms = 20}},
          .tx_limit = {.ops = {.size = tx_ops, .refill_time_ms = 20}}};
}

TEST(DeviceLimiterTest, SendsEverythingAtTheRate) {
  TestInterface net(Limited(0, 5));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(net.Start(~0ull, 64));
  for (int i = 0; i < 25; ++i) {
    ASSERT_TRUE(net.driver().Add(1, Packet(Frame(60, static_cast<char>('a' + i))), 0).has_value());
  }
  net.driver().Kick(1);
  int back = 0;
  EXPECT_TRUE(net.loop().RunUntil([&] { return (back += net.SentBack()) == 25; }));
  // 5 at once, the others 4 ms apart.
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(80));
  for (int i = 0; i < 25; ++i) {
    EXPECT_EQ(net.port().sent[i], Packet(Frame(60, static_cast<char>('a' + i))));
  }
  EXPECT_GT(net.Metric("tx_rate_limiter_throttled"), 0u);
  // And after it, too.
  net.Send(Packet(Frame(60)));
  EXPECT_TRUE(net.loop().RunUntil([&] { return (back += net.SentBack()) == 26; }));
}

TEST(DeviceLimiterTest, ReceivesEverythingAtTheRate) {
  TestInterface net(Limited(5, 0));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(net.Start(~0ull, 64));
  net.PostBuffers(40, 1526);
  for (int i = 0; i < 25; ++i) net.backend().Deliver(Packet(Frame(60)));
  size_t received = 0;
  EXPECT_TRUE(net.loop().RunUntil([&] { return (received += net.Received().size()) == 25; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(80));
  EXPECT_GT(net.Metric("rx_rate_limiter_throttled"), 0u);
}

TEST(DeviceLimiterTest, CountsBytesWithoutTheHeader) {
  TestInterface net({.path = "network-interfaces/eth0",
                     .tx_limit = {.bandwidth = {.size = 120, .refill_time_ms = 10'000'000}}});
  ASSERT_TRUE(net.Start());
  for (int i = 0; i < 3; ++i) net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.SentBack(), 2);
}

TEST(DeviceLimiterTest, APacketTooLargeForTheBucketPasses) {
  TestInterface net({.path = "network-interfaces/eth0",
                     .rx_limit = {.bandwidth = {.size = 100, .refill_time_ms = 1}}});
  ASSERT_TRUE(net.Start());
  net.PostBuffers(4, 1526);
  net.backend().Deliver(Packet(Frame(1000, 'a')));
  net.backend().Deliver(Packet(Frame(1000, 'b')));
  size_t received = 0;
  EXPECT_TRUE(net.loop().RunUntil([&] { return (received += net.Received().size()) == 2; }));
}

TEST(DeviceLimiterTest, ANewLimitHoldsAtOnce) {
  TestInterface net({.path = "network-interfaces/eth0",
                     .tx_limit = {.ops = {.size = 1, .refill_time_ms = 10'000'000}}});
  ASSERT_TRUE(net.Start());
  for (int i = 0; i < 3; ++i) net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.SentBack(), 1);
  net.device().UpdateLimits([](base::RateLimiter*, base::RateLimiter* tx) {
    tx->SetOps({}, std::chrono::steady_clock::now());
  });
  EXPECT_EQ(net.SentBack(), 2);
  net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.SentBack(), 1);
}

TEST(DeviceLimiterTest, LevelsOutliveASnapshot) {
  const NetOptions options = {.path = "network-interfaces/eth0",
                              .tx_limit = {.ops = {.size = 2, .refill_time_ms = 10'000'000}}};
  TestInterface before(options);
  ASSERT_TRUE(before.Start());
  before.Send(Packet(Frame(60)));
  before.transport().Pause();
  TestInterface after(options);
  ASSERT_TRUE(after.device().Restore(before.device().Save()).ok());
  ASSERT_TRUE(after.Start());
  for (int i = 0; i < 2; ++i) after.Send(Packet(Frame(60)));
  EXPECT_EQ(after.SentBack(), 1);
}

TEST(DeviceLimiterTest, APacketThatWaitsForTokensDoesNotHinderAPause) {
  TestInterface net({.path = "network-interfaces/eth0",
                     .rx_limit = {.ops = {.size = 1, .refill_time_ms = 10'000'000}},
                     .tx_limit = {.ops = {.size = 1, .refill_time_ms = 10'000'000}}});
  ASSERT_TRUE(net.Start());
  net.PostBuffers(4, 1526);
  for (int i = 0; i < 2; ++i) net.backend().Deliver(Packet(Frame(60)));
  for (int i = 0; i < 2; ++i) net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.Received().size(), 1u);
  net.transport().Pause();
  const DeviceState state = net.transport().Save();
  EXPECT_EQ(state.queues(0).next_avail(), state.queues(0).next_used());
  EXPECT_EQ(state.queues(1).next_avail(), 1u);
}

}  // namespace
}  // namespace hearth::virtio::net
