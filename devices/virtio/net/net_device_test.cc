// SPDX-License-Identifier: Apache-2.0
// The data path: packets out and in.
#include <string>

#include "devices/virtio/net/net_test_base.h"

namespace hearth::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kNotMergeable = ~kFeatureMrgRxbuf;

TEST(NetDeviceTest, SendsWhatTheGuestHasInItsBuffers) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  const std::string packet = Packet(Frame(60));
  net.Send(packet);
  EXPECT_THAT(net.port().sent, ElementsAre(packet));
  EXPECT_EQ(net.SentBack(), 1);
  EXPECT_EQ(net.Metric("tx_packets_count"), 1u);
  EXPECT_EQ(net.Metric("tx_bytes_count"), 60u);
}

TEST(NetDeviceTest, SendsInTheOrderOfTheRing) {
  TestInterface net;
  ASSERT_TRUE(net.Start(~0ull, 256));
  std::vector<std::string> packets;
  for (int i = 0; i < 200; ++i) {
    packets.push_back(Packet(Frame(60 + i)));
    ASSERT_TRUE(net.driver().Add(1, packets.back(), 0).has_value());
  }
  net.driver().Kick(1);
  net.loop().Settle();
  EXPECT_EQ(net.port().sent, packets);
  EXPECT_EQ(net.SentBack(), 200);
}

TEST(NetDeviceTest, CompletesPacketsThatCannotBeSent) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.Send(std::string(kHeaderBytes + 13, 'x'));
  EXPECT_EQ(net.Metric("tx_malformed_frames"), 1u);
  net.port().next_result = Port::SendResult::kBad;
  net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.Metric("tx_malformed_frames"), 2u);
  net.port().next_result = Port::SendResult::kFailed;
  net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.Metric("tx_fails"), 1u);
  EXPECT_EQ(net.SentBack(), 3);
  EXPECT_FALSE(net.NeedsReset());
}

TEST(NetDeviceTest, CountsSendersThatAreNotTheGuest) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.Metric("tx_spoofed_mac_count"), 0u);
  net.Send(Packet(Frame(60, 'x', {2, 2, 2, 2, 2, 2})));
  EXPECT_EQ(net.Metric("tx_spoofed_mac_count"), 1u);
  EXPECT_EQ(net.port().sent.size(), 2u);
}

TEST(NetDeviceTest, WaitsForRoomOnTheHostAndLosesNothing) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.port().next_result = Port::SendResult::kFull;
  net.Send(Packet(Frame(60, 'a')));
  net.Send(Packet(Frame(60, 'b')));
  EXPECT_EQ(net.SentBack(), 0);
  net.port().next_result = Port::SendResult::kSent;
  net.backend().owner->OnWritable(0);
  EXPECT_THAT(net.port().sent, ElementsAre(Packet(Frame(60, 'a')), Packet(Frame(60, 'b'))));
  EXPECT_EQ(net.SentBack(), 2);
  // And notifications are on again.
  net.Send(Packet(Frame(60, 'c')));
  EXPECT_EQ(net.port().sent.size(), 3u);
}

TEST(NetDeviceTest, ReceivesIntoOneBufferEach) {
  TestInterface net;
  ASSERT_TRUE(net.Start(kNotMergeable));
  net.PostBuffers(4, 1526);
  net.backend().Deliver(Packet(Frame(60, 'a')));
  net.backend().Deliver(Packet(Frame(1514, 'b')));  // fills the buffer to its last byte
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(60, 'a')), Packet(Frame(1514, 'b'))));
  EXPECT_EQ(net.Metric("rx_packets_count"), 2u);
  EXPECT_EQ(net.Metric("rx_bytes_count"), 1574u);
}

TEST(NetDeviceTest, DropsWhatIsTooLargeForTheGuestsBuffers) {
  TestInterface net;
  ASSERT_TRUE(net.Start(kNotMergeable));
  net.PostBuffers(1, 1526);
  net.backend().Deliver(Packet(Frame(1515)));
  EXPECT_THAT(net.Received(), IsEmpty());
  EXPECT_EQ(net.Metric("rx_fails"), 1u);
  net.backend().Deliver(Packet(Frame(1514)));
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(1514))));
}

TEST(NetDeviceTest, SpreadsAPacketOverMergedBuffers) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.PostBuffers(8, 1000);
  for (int round = 0; round < 5; ++round) {
    // The first is larger than expected and comes by way of the spill, the others are read at once.
    net.backend().Deliver(Packet(Frame(4321)));
    EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(4321)))) << round;
    net.PostBuffers(5, 1000);
  }
  EXPECT_EQ(net.Metric("rx_spills"), 1u);
}

TEST(NetDeviceTest, ReadsSmallPacketsWithFewVectors) {
  TestInterface net;
  ASSERT_TRUE(net.Start(~0ull, 256));
  net.PostBuffers(200, 1536);
  net.backend().Deliver(Packet(Frame(60)));
  EXPECT_EQ(net.port().vectors_seen, 2u);  // a buffer and the spill
  net.backend().Deliver(Packet(Frame(60000)));
  net.backend().Deliver(Packet(Frame(60000)));
  EXPECT_GT(net.port().vectors_seen, 40u);
  EXPECT_EQ(net.Received().size(), 3u);
  EXPECT_EQ(net.Metric("rx_spills"), 1u);
  // After some time of small ones only, the lists are short again.
  net.PostBuffers(80, 1536);
  for (int i = 0; i < 600; ++i) {
    net.backend().Deliver(Packet(Frame(60)));
    EXPECT_EQ(net.Received().size(), 1u);
    net.PostBuffers(1, 1536);
  }
  EXPECT_LE(net.port().vectors_seen, 50u);
  net.backend().Deliver(Packet(Frame(60)));
  EXPECT_EQ(net.Received().size(), 1u);
}

TEST(NetDeviceTest, WaitsForBuffersAndGoesOnWhenTheyCome) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.backend().Deliver(Packet(Frame(60, 'a')));
  net.backend().Deliver(Packet(Frame(60, 'b')));
  EXPECT_EQ(net.port().receive_calls, 0);  // they stay with the host
  EXPECT_GE(net.Metric("no_rx_avail_buffer"), 1u);
  net.PostBuffers(1, 1526);
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(60, 'a'))));
  net.PostBuffers(1, 1526);
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(60, 'b'))));
}

TEST(NetDeviceTest, KeepsAPacketUntilThereAreBuffersForAllOfIt) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.PostBuffers(2, 1000);
  net.backend().Deliver(Packet(Frame(3500, 'a')));
  net.backend().Deliver(Packet(Frame(60, 'b')));
  EXPECT_THAT(net.Received(), IsEmpty());
  net.PostBuffers(3, 1000);
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(3500, 'a')), Packet(Frame(60, 'b'))));
  EXPECT_EQ(net.Metric("rx_fails"), 0u);
}

TEST(NetDeviceTest, DoesNotWaitForEverForADriverWithoutMoreBuffers) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.PostBuffers(2, 1000);
  net.backend().Deliver(Packet(Frame(3500, 'a')));
  net.backend().Deliver(Packet(Frame(60, 'b')));
  std::vector<std::string> packets;
  EXPECT_TRUE(net.loop().RunUntil([&] {
    packets = net.Received();
    return !packets.empty();
  }));
  EXPECT_THAT(packets, ElementsAre(Packet(Frame(60, 'b'))));
  EXPECT_EQ(net.Metric("rx_fails"), 1u);
}

TEST(NetDeviceTest, TakesTheLargestPacketThereIs) {
  TestInterface net;
  ASSERT_TRUE(net.Start(~0ull, 256));
  net.PostBuffers(200, 600);
  const std::string packet = Packet(Frame(kMaxFrameBytes));
  for (int i = 0; i < 2; ++i) {
    net.backend().Deliver(packet);
    EXPECT_THAT(net.Received(), ElementsAre(packet));
    net.PostBuffers(50, 600);
    net.PostBuffers(50, 600);
  }
}

TEST(NetDeviceTest, ABufferWithoutRoomForAHeaderIsTheGuestsFault) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.PostBuffers(1, kHeaderBytes - 1);
  net.backend().Deliver(Packet(Frame(60)));
  EXPECT_TRUE(net.NeedsReset());
  EXPECT_TRUE(net.Start());
  net.PostBuffers(1, 1526);
  net.backend().Deliver(Packet(Frame(60)));
  EXPECT_EQ(net.Received().size(), 1u);
}

TEST(NetDeviceTest, ABadRingIsTheGuestsFault) {
  for (const uint16_t queue : {0, 1, 2}) {
    TestInterface net;
    ASSERT_TRUE(net.Start());
    net.driver().queue(queue).WriteAvailable(0, 999);
    net.driver().queue(queue).WriteAvailableIndex(1);
    net.driver().Write(kQueueNotify, queue);
    net.loop().Settle();
    net.backend().Deliver(Packet(Frame(60)));
    EXPECT_TRUE(net.NeedsReset()) << queue;
    EXPECT_TRUE(net.Start()) << queue;
  }
}

TEST(NetDeviceTest, GivesBuffersBackWhenItIsPaused) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.PostBuffers(4, 1526);
  net.backend().Deliver(Packet(Frame(60, 'a')));  // takes one more buffer in advance
  EXPECT_EQ(net.Received().size(), 1u);
  net.transport().Pause();
  net.transport().Resume();
  net.loop().Settle();
  for (const char fill : {'b', 'c', 'd'}) {
    net.backend().Deliver(Packet(Frame(60, fill)));
    EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(60, fill))));
  }
}

TEST(NetDeviceTest, SendsWhatWasQueuedDuringAPause) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.transport().Pause();
  net.Send(Packet(Frame(60)));
  EXPECT_THAT(net.port().sent, IsEmpty());
  net.transport().Resume();
  net.loop().Settle();
  EXPECT_EQ(net.port().sent.size(), 1u);
  EXPECT_EQ(net.SentBack(), 1);
}

TEST(NetDeviceTest, UsesThePairsThatTheDriverAsksFor) {
  TestInterface net({.path = "network-interfaces/eth0"}, 4);
  ASSERT_TRUE(net.Start());
  EXPECT_EQ(net.driver().queue_count(), 9u);
  EXPECT_EQ(net.device().config_space().Load<uint16_t>(kConfigMaxQueuePairs), 4);
  EXPECT_EQ(net.backend().pairs_set, 1u);
  for (uint16_t pair = 0; pair < 4; ++pair) net.PostBuffers(2, 1526, pair);
  net.Send(Packet(Frame(60, 'a')), 3);
  EXPECT_THAT(net.port(3).sent, IsEmpty());
  EXPECT_EQ(net.Command({4, 0, 4, 0}), kControlOk);
  EXPECT_EQ(net.backend().pairs_set, 4u);
  EXPECT_EQ(net.port(3).sent.size(), 1u);
  for (uint16_t pair = 0; pair < 4; ++pair) {
    net.backend().Deliver(Packet(Frame(60, static_cast<char>('0' + pair))), pair);
    EXPECT_THAT(net.Received(pair), ElementsAre(Packet(Frame(60, static_cast<char>('0' + pair)))));
  }
  EXPECT_EQ(net.Command({4, 0, 0, 0}), kControlError);
  EXPECT_EQ(net.Command({4, 0, 5, 0}), kControlError);
}

TEST(NetDeviceTest, WithoutMqTheControlQueueIsTheThird) {
  TestInterface net({.path = "network-interfaces/eth0"}, 4);
  ASSERT_TRUE(net.Start(~kFeatureMq));
  EXPECT_EQ(net.Command({0, 0, 0}), kControlOk);
  EXPECT_EQ(net.Command({4, 0, 2, 0}), kControlError);
  net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.port().sent.size(), 1u);
}

TEST(NetDeviceTest, LooksForPacketsItselfInAQuickExchange) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  for (int i = 0; i < 2000 && net.Metric("spin_hits") == 0; ++i) {
    // Without a notification, if the device has turned them off.
    ASSERT_TRUE(net.driver().Add(1, Packet(Frame(60)), 0).has_value());
    net.driver().Kick(1);
    int back = 0;
    ASSERT_TRUE(net.loop().RunUntil([&] { return (back += net.SentBack()) == 1; }));
  }
  EXPECT_GT(net.Metric("spin_hits"), 0u);
  // Then nothing comes any more: the loop sleeps again, and notifications are on.
  ASSERT_TRUE(net.loop().RunUntil([&] { return net.Metric("spin_misses") > 0; }));
  net.Send(Packet(Frame(60, 'z')));
  EXPECT_EQ(net.port().sent.back(), Packet(Frame(60, 'z')));
}

}  // namespace
}  // namespace hearth::virtio::net
