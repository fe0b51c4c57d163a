// SPDX-License-Identifier: Apache-2.0
// The parts that need no device: addresses, features, the driver's settings, the hook's filter.
#include <string>

#include "devices/virtio/net/driver_settings.h"
#include "devices/virtio/net/features.h"
#include "devices/virtio/net/mac_address.h"
#include "devices/virtio/net/packet_hook.h"
#include "devices/virtio/net/spin_policy.h"
#include "devices/virtio/net/tun_abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hearth::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr MacAddress kMac = {0x06, 0, 0xac, 0x10, 0, 2};

TEST(MacAddressTest, HasOneTextForm) {
  EXPECT_EQ(ParseMac("06:00:ac:10:00:02"), kMac);
  EXPECT_EQ(ParseMac("06:00:AC:10:00:02"), kMac);
  EXPECT_EQ(ToString(kMac), "06:00:ac:10:00:02");
  for (const char* bad : {"", "06:00:ac:10:00", "06:00:ac:10:00:02:", "06-00-ac-10-00-02",
                          "06:00:ac:10:00:0g", "06:00:ac:10:00:0 ", "060:0:ac:10:00:02"}) {
    EXPECT_FALSE(ParseMac(bad).has_value()) << bad;
  }
  EXPECT_TRUE(IsUnicast(kMac));
  EXPECT_FALSE(IsUnicast({}));
  EXPECT_FALSE(IsUnicast(kBroadcast));
}

TEST(FeaturesTest, RequirementsNameWhatIsMissing) {
  EXPECT_TRUE(CheckFeatureRequirements(0).ok());
  EXPECT_TRUE(CheckFeatureRequirements(~0ull).ok());
  EXPECT_EQ(CheckFeatureRequirements(kFeatureHostTso4).message(),
            "VIRTIO_NET_F_HOST_TSO4 requires CSUM");
  EXPECT_EQ(CheckFeatureRequirements(kFeatureGuestEcn | kFeatureGuestCsum).message(),
            "VIRTIO_NET_F_GUEST_ECN requires GUEST_TSO4 or GUEST_TSO6");
  EXPECT_EQ(CheckFeatureRequirements(kFeatureMq).message(), "VIRTIO_NET_F_MQ requires CTRL_VQ");
}

TEST(FeaturesTest, DroppingIsTransitive) {
  EXPECT_EQ(DropUnmetFeatures(kFeatureGuestEcn | kFeatureGuestTso4), 0u);
  EXPECT_EQ(DropUnmetFeatures(kFeatureGuestEcn | kFeatureGuestTso6 | kFeatureGuestCsum),
            kFeatureGuestEcn | kFeatureGuestTso6 | kFeatureGuestCsum);
}

TEST(FeaturesTest, TunBitsGoBothWays) {
  EXPECT_EQ(TunOffloads(kFeatureGuestCsum | kFeatureGuestTso4), unsigned{TUN_F_CSUM | TUN_F_TSO4});
  EXPECT_EQ(TunOffloads(kFeatureGuestTso4), 0u);  // not without CSUM
  EXPECT_EQ(FeaturesOfTun(TUN_F_CSUM), kFeatureGuestCsum | kFeatureCsum);
  EXPECT_EQ(FeaturesOfTun(TUN_F_TSO4), 0u);
  EXPECT_EQ(FeaturesOfTun(TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6) & kFeatureHostUso, kFeatureHostUso);
}

TEST(DriverSettingsTest, FiltersOnlyWhatItKnows) {
  DriverSettings settings = {.mac = kMac};
  const uint64_t all = kFeatureCtrlVq | kFeatureCtrlRx | kFeatureCtrlMacAddr;
  EXPECT_TRUE(settings.Filter(all).everything);  // promiscuous
  settings.SetMode(RxCommand::kPromiscuous, false);
  EXPECT_THAT(settings.Filter(all).addresses, ElementsAre(kMac, kBroadcast));
  EXPECT_FALSE(settings.Filter(all).everything);
  EXPECT_TRUE(settings.Filter(all & ~kFeatureCtrlMacAddr).everything);
  EXPECT_TRUE(settings.Filter(all & ~kFeatureCtrlRx).everything);
  settings.table = {.unicast = {{2}}, .multicast = {{1}}};
  EXPECT_EQ(settings.Filter(all).addresses.size(), 4u);
  settings.SetMode(RxCommand::kNoUnicast, true);
  settings.SetMode(RxCommand::kNoBroadcast, true);
  EXPECT_THAT(settings.Filter(all).addresses, ElementsAre(kMac, MacAddress{1}));
  settings.SetMode(RxCommand::kAllMulticast, true);
  EXPECT_TRUE(settings.Filter(all).all_multicast);
  settings.SetMode(RxCommand::kNoMulticast, true);
  EXPECT_FALSE(settings.Filter(all).all_multicast);
  settings.table.unicast_overflow = true;
  EXPECT_TRUE(settings.Filter(all).everything);
  settings.mac.reset();
  EXPECT_TRUE(settings.Filter(all).everything);
}

TEST(DriverSettingsTest, ComesBackFromItsState) {
  DriverSettings settings = {.mac = kMac, .queue_pairs = 3};
  settings.SetMode(RxCommand::kPromiscuous, false);
  settings.table = {.unicast = {{2}, {4}}, .multicast = {{1}}, .multicast_overflow = true};
  settings.guest_offloads = kFeatureGuestCsum;
  NetState state;
  settings.SaveTo(&state);
  const auto back = DriverSettings::Load(state, 4);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->mac, kMac);
  EXPECT_EQ(back->queue_pairs, 3);
  EXPECT_EQ(back->receive_mode, 0);
  EXPECT_THAT(back->table.unicast, ElementsAre(MacAddress{2}, MacAddress{4}));
  EXPECT_THAT(back->table.multicast, ElementsAre(MacAddress{1}));
  EXPECT_TRUE(back->table.multicast_overflow);
  EXPECT_EQ(back->guest_offloads, kFeatureGuestCsum);
}

TEST(DriverSettingsTest, RefusesAHostileState) {
  const auto error = [](auto bend) {
    NetState state;
    state.set_queue_pairs(1);
    bend(&state);
    return std::string(DriverSettings::Load(state, 2).status().message());
  };
  EXPECT_EQ(error([](NetState*) {}), "");
  EXPECT_EQ(error([](NetState* s) { s->set_queue_pairs(0); }),
            "queue_pairs: got 0, must be from 1 to 2");
  EXPECT_EQ(error([](NetState* s) { s->set_queue_pairs(3); }),
            "queue_pairs: got 3, must be from 1 to 2");
  EXPECT_THAT(error([](NetState* s) { s->set_mac("12345"); }), HasSubstr("mac: got 5 bytes"));
  EXPECT_THAT(error([](NetState* s) { s->set_mac(std::string(6, '\xff')); }),
              HasSubstr("mac: must be one unicast address"));
  EXPECT_THAT(error([](NetState* s) { s->set_receive_mode(64); }),
              HasSubstr("receive_mode: got 64"));
  EXPECT_THAT(error([](NetState* s) { s->set_unicast_table(std::string(6 * 65, 'x')); }),
              HasSubstr("unicast_table: got 390 bytes"));
  EXPECT_THAT(error([](NetState* s) { s->set_guest_offloads(1ull << 60); }),
              HasSubstr("guest_offloads: got"));
}

std::string Ethernet(const std::string& type, const std::string& rest) {
  return std::string(12, 'm') + type + rest;
}

TEST(PacketHookTest, KnowsItsPacketsByTheirFirstBytes) {
  constexpr std::array<uint8_t, 4> kAddress = {169, 254, 169, 254};
  const auto is_for = [&](const std::string& frame) {
    return IsFor(kAddress, {reinterpret_cast<const uint8_t*>(frame.data()), frame.size()});
  };
  const std::string address = "\xa9\xfe\xa9\xfe";
  using namespace std::string_literals;
  EXPECT_TRUE(is_for(Ethernet("\x08\x00"s, std::string(16, '.') + address)));
  EXPECT_TRUE(is_for(Ethernet("\x08\x06"s, std::string(24, '.') + address)));
  EXPECT_FALSE(is_for(Ethernet("\x08\x00"s, std::string(24, '.') + address)));
  EXPECT_FALSE(is_for(Ethernet("\x08\x06"s, std::string(16, '.') + address)));
  EXPECT_FALSE(is_for(Ethernet("\x86\xdd"s, std::string(16, '.') + address)));
  EXPECT_FALSE(is_for(Ethernet("\x08\x00"s, std::string(16, '.') + address.substr(0, 3))));
  EXPECT_FALSE(is_for(Ethernet("\x08\x00"s, "")));
  EXPECT_FALSE(is_for("short"));
}

TEST(SpinPolicyTest, LooksWhenItHasPaidAndStopsWhenItDoesNot) {
  SpinPolicy policy;
  base::MonotonicTime now(std::chrono::seconds(100));
  const auto exchange = [&](std::chrono::microseconds pause) {
    policy.OnPacket(now);
    now += pause;
    policy.OnNotified(now);
  };
  for (int i = 0; i < 20; ++i) exchange(std::chrono::microseconds(500));
  EXPECT_FALSE(policy.worth_it());
  for (int i = 0; i < SpinPolicy::kEnough; ++i) exchange(std::chrono::microseconds(30));
  EXPECT_TRUE(policy.worth_it());
  policy.OnMiss();
  EXPECT_FALSE(policy.worth_it());
  for (int i = 0; i < 100; ++i) policy.OnHit();
  for (int i = 0; i < 3; ++i) policy.OnMiss();
  EXPECT_FALSE(policy.worth_it());
}

}  // namespace
}  // namespace hearth::virtio::net
