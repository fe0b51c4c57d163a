// SPDX-License-Identifier: Apache-2.0
// The control queue, the link and the state, through the device.
#include <string>

#include "devices/virtio/net/net_test_base.h"

namespace hearth::virtio::net {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr uint64_t kOffloads = kFeatureCsum | kFeatureGuestCsum | kFeatureGuestTso4 |
                               kFeatureHostTso4 | kFeatureGuestTso6 | kFeatureHostTso6;

std::string Offloads(uint64_t bits) {
  std::string command = "\5\0"s;
  for (int i = 0; i < 8; ++i) command.push_back(static_cast<char>(bits >> 8 * i));
  return command;
}

TEST(ControlQueueTest, SetsTheReceiveFilter) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  EXPECT_TRUE(net.backend().filter.everything);
  EXPECT_EQ(net.Command("\0\0\0"s), kControlOk);
  EXPECT_FALSE(net.backend().filter.everything);
  EXPECT_THAT(net.backend().filter.addresses, ElementsAre(kGuestMac, kBroadcast));
  EXPECT_EQ(net.Command("\1\0\0\0\0\0\2\0\0\0\1\0\x5e\0\0\1\1\0\x5e\0\0\2"s), kControlOk);
  EXPECT_THAT(net.backend().filter.addresses, SizeIs(4));
  EXPECT_EQ(net.Command("\0\1\1"s), kControlOk);
  EXPECT_TRUE(net.backend().filter.all_multicast);
  EXPECT_EQ(net.Command("\0\5\1"s), kControlOk);  // no broadcast
  EXPECT_THAT(net.backend().filter.addresses, SizeIs(3));
  net.driver().Reset();
  EXPECT_TRUE(net.backend().filter.everything);
}

TEST(ControlQueueTest, TakesATableThatIsTooLongAsEverybody) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  EXPECT_EQ(net.Command("\0\0\0"s), kControlOk);
  EXPECT_EQ(net.Command("\1\0\x41\0\0\0"s + std::string(6 * 65, '\2') + "\0\0\0\0"s), kControlOk);
  EXPECT_TRUE(net.backend().filter.everything);
  EXPECT_EQ(net.Command("\1\0\0\0\0\0\x41\0\0\0"s + std::string(6 * 65, '\1')), kControlOk);
  EXPECT_FALSE(net.backend().filter.everything);
  EXPECT_TRUE(net.backend().filter.all_multicast);
}

TEST(ControlQueueTest, RefusesWhatMakesNoSense) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  for (const std::string& command :
       {"\0"s, "\0\0"s, "\0\6\1"s, "\1\1\6\0"s, "\1\1\1\0\0\0\0\1"s, "\1\1\0\0\0\0\0\0"s,
        "\1\2\6\0\0\0\0\7"s, "\1\0\1\0\0\0"s, "\1\0\xff\xff\xff\xff"s, "\2\0\1\0"s, "\3\0"s,
        "\4\0\1\0"s, "\5\0\0\0\0\0\0\0\0\0"s, "\7\0"s}) {
    EXPECT_EQ(net.Command(command), kControlError) << testing::PrintToString(command);
  }
  EXPECT_EQ(net.Metric("control_errors"), net.Metric("control_commands"));
  EXPECT_FALSE(net.NeedsReset());
}

TEST(ControlQueueTest, ACommandWithoutRoomForTheAnswerIsTheGuestsFault) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  ASSERT_TRUE(net.driver().Add(2, "\0\0\0"s, 0).has_value());
  net.driver().Kick(2);
  net.loop().Settle();
  EXPECT_TRUE(net.NeedsReset());
}

TEST(ControlQueueTest, ChangesTheAddress) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  const MacAddress mac = {2, 0, 0, 0, 0, 9};
  EXPECT_EQ(net.Command("\1\1\2\0\0\0\0\x9"s), kControlOk);
  MacAddress shown;
  net.device().config_space().LoadBytes(kConfigMac, shown.data(), 6);
  EXPECT_EQ(shown, mac);
  net.Send(Packet(Frame(60, 'x', mac)));
  EXPECT_EQ(net.Metric("tx_spoofed_mac_count"), 0u);
  net.driver().Reset();
  net.device().config_space().LoadBytes(kConfigMac, shown.data(), 6);
  EXPECT_EQ(shown, kGuestMac);
}

TEST(ControlQueueTest, OffersAndSetsOffloadsOfTheBackend) {
  TestInterface net({.path = "network-interfaces/eth0"}, 1, kOffloads);
  EXPECT_EQ(net.device().features() & (kHostOffloads | kGuestOffloads), kOffloads);
  ASSERT_TRUE(net.Start(~kFeatureGuestTso6));
  EXPECT_EQ(net.backend().guest_offloads, kFeatureGuestCsum | kFeatureGuestTso4);
  EXPECT_EQ(net.Command(Offloads(kFeatureGuestCsum)), kControlOk);
  EXPECT_EQ(net.backend().guest_offloads, kFeatureGuestCsum);
  EXPECT_EQ(net.Command(Offloads(kFeatureGuestCsum | kFeatureGuestTso6)), kControlError);
  EXPECT_EQ(net.backend().guest_offloads, kFeatureGuestCsum);
  net.driver().Reset();
  EXPECT_EQ(net.backend().guest_offloads, 0u);
}

TEST(ControlQueueTest, OffersNoOffloadsWhereTheyAreOff) {
  TestInterface net({.path = "network-interfaces/eth0", .offloads = false}, 1, kOffloads);
  EXPECT_EQ(net.device().features() & (kHostOffloads | kGuestOffloads), 0u);
  EXPECT_EQ(net.device().features() & kFeatureCtrlGuestOffloads, 0u);
}

TEST(ControlQueueTest, RefusesFeaturesWithoutThoseTheyRequire) {
  TestInterface net({.path = "network-interfaces/eth0"}, 2, kOffloads);
  EXPECT_FALSE(net.driver().Negotiate(~kFeatureCsum));
  EXPECT_FALSE(net.driver().Negotiate(~kFeatureCtrlVq));
  EXPECT_FALSE(net.driver().Negotiate(~kFeatureGuestCsum));
  EXPECT_TRUE(net.driver().Negotiate());
}

TEST(ControlQueueTest, OffersOnlyWhatIsConfigured) {
  TestInterface bare({.path = "network-interfaces/eth0"});
  EXPECT_EQ(bare.device().features() & (kFeatureMac | kFeatureMtu | kFeatureMq), 0u);
  TestInterface full({.path = "network-interfaces/eth0", .mac = kGuestMac, .mtu = 1400}, 2);
  EXPECT_EQ(full.device().features() & (kFeatureMac | kFeatureMtu | kFeatureMq),
            kFeatureMac | kFeatureMtu | kFeatureMq);
  EXPECT_EQ(full.device().config_space().Load<uint16_t>(kConfigMtu), 1400);
}

TEST(LinkTest, GoesDownAndUp) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.PostBuffers(4, 1526);
  EXPECT_EQ(net.Status(), kStatusLinkUp);
  (void)net.driver().TakeInterrupt();
  net.device().SetLinkUp(false);
  net.loop().Settle();
  EXPECT_EQ(net.Status(), 0);
  EXPECT_EQ(net.driver().TakeInterrupt() & Interrupt::kConfigurationChange,
            Interrupt::kConfigurationChange);
  net.Send(Packet(Frame(60)));
  EXPECT_EQ(net.SentBack(), 1);
  EXPECT_TRUE(net.port().sent.empty());
  EXPECT_EQ(net.Metric("tx_link_down_drops"), 1u);
  net.backend().Deliver(Packet(Frame(60, 'a')));
  EXPECT_TRUE(net.Received().empty());
  net.device().SetLinkUp(true);
  net.loop().Settle();
  EXPECT_EQ(net.Status(), kStatusLinkUp);
  EXPECT_TRUE(net.Received().empty());  // what came meanwhile is stale
  net.backend().Deliver(Packet(Frame(60, 'b')));
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(60, 'b'))));
  EXPECT_EQ(net.Metric("link_changes"), 2u);
}

TEST(LinkTest, FollowsTheCarrier) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.backend().has_carrier = false;
  net.backend().owner->OnCarrier();
  EXPECT_EQ(net.Status(), 0);
  net.device().SetLinkUp(false);
  net.backend().has_carrier = true;
  net.backend().owner->OnCarrier();
  EXPECT_EQ(net.Status(), 0);  // unplugged by the API
  net.device().SetLinkUp(true);
  EXPECT_EQ(net.Status(), kStatusLinkUp);
}

TEST(LinkTest, TellsTheDriverAfterAPause) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  net.transport().Pause();
  net.device().SetLinkUp(false);
  (void)net.driver().TakeInterrupt();
  net.transport().Resume();
  net.loop().Settle();
  EXPECT_NE(net.driver().TakeInterrupt() & Interrupt::kConfigurationChange, 0u);
}

// The state of a device that was used, given to another one.
TEST(StateTest, ComesBackAndAnnouncesItself) {
  TestInterface before({.path = "network-interfaces/eth0", .mac = kGuestMac}, 2, kOffloads);
  ASSERT_TRUE(before.Start());
  EXPECT_EQ(before.Command("\4\0\2\0"s), kControlOk);
  EXPECT_EQ(before.Command("\0\0\0"s), kControlOk);
  EXPECT_EQ(before.Command("\1\1\2\0\0\0\0\x9"s), kControlOk);
  EXPECT_EQ(before.Command(Offloads(kFeatureGuestCsum)), kControlOk);
  before.transport().Pause();
  const std::string state = before.device().Save();

  TestInterface after({.path = "network-interfaces/eth0", .mac = kGuestMac}, 2, kOffloads);
  ASSERT_TRUE(after.device().Restore(state).ok());
  EXPECT_EQ(after.device().Save(), state);
  after.device().Reset();
  EXPECT_NE(after.device().Save(), state);

  // As a resumed guest: through the transport, rings and all.
  const DeviceState saved = before.transport().Save();
  TestInterface resumed({.path = "network-interfaces/eth0", .mac = kGuestMac}, 2, kOffloads);
  resumed.CopyMemoryFrom(before);
  ASSERT_TRUE(resumed.transport().Restore(saved).ok());
  resumed.transport().Resume();
  resumed.loop().Settle();
  EXPECT_EQ(resumed.backend().pairs_set, 2u);
  EXPECT_EQ(resumed.backend().guest_offloads, kFeatureGuestCsum);
  EXPECT_THAT(resumed.backend().filter.addresses,
              ElementsAre(MacAddress{2, 0, 0, 0, 0, 9}, kBroadcast));
  EXPECT_EQ(resumed.Status(), kStatusLinkUp | kStatusAnnounce);
  EXPECT_EQ(resumed.Metric("announcements"), 1u);
  EXPECT_NE(resumed.driver().TakeInterrupt() & Interrupt::kConfigurationChange, 0u);
}

TEST(StateTest, AnAnnouncementIsAcknowledgedOnce) {
  TestInterface net;
  ASSERT_TRUE(net.Start());
  EXPECT_EQ(net.Command("\3\0"s), kControlError);
  net.transport().Pause();
  ASSERT_TRUE(net.device().Restore(net.device().Save()).ok());
  net.transport().Resume();
  net.loop().Settle();
  EXPECT_EQ(net.Status(), kStatusLinkUp | kStatusAnnounce);
  EXPECT_EQ(net.Command("\3\0"s), kControlOk);
  EXPECT_EQ(net.Status(), kStatusLinkUp);
  EXPECT_EQ(net.Command("\3\0"s), kControlError);
}

TEST(StateTest, ADeviceThatRefusesAStateIsAsBefore) {
  TestInterface net;
  const std::string before = net.device().Save();
  NetState state;
  state.set_mac(std::string(6, '\2'));
  state.set_queue_pairs(2);
  EXPECT_FALSE(net.device().Restore(state.SerializeAsString()).ok());
  EXPECT_FALSE(net.device().Restore("\xff\xff").ok());
  EXPECT_EQ(net.device().Save(), before);
}

}  // namespace
}  // namespace hearth::virtio::net
