// SPDX-License-Identifier: Apache-2.0
// The tap, on a real one in a network namespace of the test's own.
#include "devices/virtio/net/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "devices/virtio/net/net_test_base.h"
#include "devices/virtio/net/tun_abi.h"

namespace hearth::virtio::net {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Why there can be no taps here; "" if there can. The first call enters a namespace for good.
const std::string& WhyNot() {
  static const std::string* const why = [] {
    auto* text = new std::string;
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      *text = absl::StrCat("unshare: ", strerror(errno));
    } else if (base::UniqueFd node(open("/dev/net/tun", O_RDWR)); !node.valid()) {
      *text = absl::StrCat("/dev/net/tun: ", strerror(errno));
    }
    return text;
  }();
  return *why;
}

#define NEEDS_TAP() \
  if (!WhyNot().empty()) GTEST_SKIP() << "skipped, because there can be no taps: " << WhyNot()

// The host's side of a tap: its interface, and who sees and sends all frames of it.
class Host {
 public:
  explicit Host(const std::string& name) : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0)) {
    HEARTH_CHECK(socket_.valid());
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    HEARTH_CHECK(ioctl(socket_.get(), SIOCGIFFLAGS, &request) == 0);
    request.ifr_flags |= IFF_UP;
    HEARTH_CHECK(ioctl(socket_.get(), SIOCSIFFLAGS, &request) == 0);
    HEARTH_CHECK(ioctl(socket_.get(), SIOCGIFINDEX, &request) == 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = request.ifr_ifindex;
    HEARTH_CHECK(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  void Send(const std::string& frame) {
    EXPECT_EQ(send(socket_.get(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
  }
  // The frames that the guest has sent.
  std::vector<std::string> Received() {
    std::vector<std::string> frames;
    char frame[65536];
    sockaddr_ll from{};
    while (true) {
      socklen_t size = sizeof(from);
      const ssize_t bytes = recvfrom(socket_.get(), frame, sizeof(frame), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (bytes < 0) return frames;
      if (from.sll_pkttype != PACKET_OUTGOING) frames.emplace_back(frame, bytes);
    }
  }

 private:
  base::UniqueFd socket_;
};

class TapTest : public testing::Test {
 protected:
  void Make(NetOptions options = {.path = "network-interfaces/eth0", .mac = kGuestMac},
            size_t pairs = 1) {
    net_ = std::make_unique<TestInterface>(std::move(options), [&](base::EventLoop* loop) {
      auto tap = Tap::Open(loop, "hearth-test", pairs);
      HEARTH_CHECK(tap.ok());
      tap_ = tap->get();
      return *std::move(tap);
    });
    host_ = std::make_unique<Host>("hearth-test");
  }
  // Until a packet has come that has `frame`; the host says things of its own, too.
  bool Receives(const std::string& frame, uint16_t pair = 0) {
    return net_->loop().RunUntil([&] {
      for (const std::string& packet : net_->Received(pair)) {
        if (packet.substr(kHeaderBytes) == frame) return true;
      }
      return false;
    });
  }

  Tap* tap_ = nullptr;
  std::unique_ptr<TestInterface> net_;
  std::unique_ptr<Host> host_;
};

TEST_F(TapTest, MovesPacketsBothWays) {
  NEEDS_TAP();
  Make();
  ASSERT_TRUE(net_->Start(~0ull, 64));
  net_->PostBuffers(60, 1526);
  const std::string out = Frame(60, 'o');
  net_->Send(Packet(out));
  EXPECT_THAT(host_->Received(), Contains(out));
  const std::string in = Frame(1514, 'i', {2, 0, 0, 0, 0, 2});
  host_->Send(in);
  EXPECT_TRUE(Receives(in));
}

TEST_F(TapTest, GoesOnAfterAPause) {
  NEEDS_TAP();
  Make();
  ASSERT_TRUE(net_->Start(~0ull, 64));
  net_->PostBuffers(60, 1526);
  net_->transport().Pause();
  const std::string in = Frame(100, 'i', {2, 0, 0, 0, 0, 2});
  host_->Send(in);
  net_->transport().Resume();
  EXPECT_TRUE(Receives(in));
}

TEST_F(TapTest, AHeaderThatMakesNoSenseIsNotSent) {
  NEEDS_TAP();
  Make();
  ASSERT_TRUE(net_->Start());
  std::string packet = Packet(Frame(60));
  packet[1] = 77;  // gso_type
  net_->Send(packet);
  packet = Packet(Frame(60));
  packet[0] = 1;   // NEEDS_CSUM
  packet[6] = 99;  // csum_start, outside
  net_->Send(packet);
  EXPECT_EQ(net_->SentBack(), 2);
  EXPECT_EQ(net_->Metric("tx_malformed_frames"), 2u);
  EXPECT_FALSE(net_->NeedsReset());
}

TEST_F(TapTest, OffersWhatTheTapTakes) {
  NEEDS_TAP();
  Make();
  constexpr uint64_t kAlways = kFeatureCsum | kFeatureGuestCsum | kFeatureHostTso4 |
                               kFeatureGuestTso4 | kFeatureHostTso6 | kFeatureGuestTso6;
  EXPECT_EQ(net_->device().features() & kAlways, kAlways);
  ASSERT_TRUE(net_->Start());
  // A packet that is left to the host to cut and to sum.
  std::string frame = Frame(54 + 4000, 'd');
  const std::string ip_and_tcp =
      std::string("\x08\0\x45\0\x0f\xc8\0\0\0\0\x40\x06\0\0\x0a\0\0\2\x0a\0\0\1", 22) +
      std::string("\0\1\0\2\0\0\0\0\0\0\0\0\x50\x10\xff\xff\0\0\0\0", 20);
  frame.replace(12, ip_and_tcp.size(), ip_and_tcp);
  const NetHeader header = {.flags = 1,
                            .gso_type = 1,
                            .hdr_len = 54,
                            .gso_size = 1448,
                            .csum_start = 34,
                            .csum_offset = 16,
                            .num_buffers = 0};
  net_->Send(std::string(reinterpret_cast<const char*>(&header), kHeaderBytes) + frame);
  EXPECT_EQ(net_->Metric("tx_packets_count"), 1u);
  EXPECT_THAT(host_->Received(), Contains(frame));
}

TEST_F(TapTest, ReceivesOnlyWhatTheDriverWants) {
  NEEDS_TAP();
  Make();
  ASSERT_TRUE(net_->Start(~0ull, 64));
  net_->PostBuffers(60, 1526);
  EXPECT_EQ(net_->Command({0, 0, 0}), kControlOk);
  const auto to = [](const MacAddress& mac, char fill) {
    std::string frame = Frame(60, fill, {2, 0, 0, 0, 0, 2});
    frame.replace(0, 6, std::string(mac.begin(), mac.end()));
    return frame;
  };
  host_->Send(to({2, 0, 0, 0, 0, 7}, 'a'));
  host_->Send(to(kGuestMac, 'b'));
  std::vector<std::string> packets;
  EXPECT_TRUE(net_->loop().RunUntil([&] {
    for (std::string& packet : net_->Received()) packets.push_back(std::move(packet));
    return testing::Value(packets, Contains(Packet(to(kGuestMac, 'b'))));
  }));
  EXPECT_THAT(packets, Not(Contains(HasSubstr(std::string(40, 'a')))));
  host_->Send(to(kBroadcast, 'c'));
  EXPECT_TRUE(Receives(to(kBroadcast, 'c')));
}

TEST_F(TapTest, HasAsManyQueuesAsTheDriverUses) {
  NEEDS_TAP();
  Make({.path = "network-interfaces/eth0"}, 4);
  ASSERT_TRUE(net_->Start(~0ull, 64));
  for (uint16_t pair = 0; pair < 4; ++pair) net_->PostBuffers(60, 1526, pair);
  for (const char pairs : {1, 4, 2}) {
    EXPECT_EQ(net_->Command({4, 0, pairs, 0}), kControlOk);
    for (uint16_t pair = 0; pair < static_cast<uint16_t>(pairs); ++pair) {
      const std::string out = Frame(60, static_cast<char>('0' + pair));
      net_->Send(Packet(out), pair);
      EXPECT_THAT(host_->Received(), Contains(out));
    }
    // Whatever queue the host chooses, it is one that is in use.
    for (int i = 0; i < 8; ++i) {
      const std::string in = Frame(70 + i, 'i', {2, 0, 0, 0, 0, 2});
      host_->Send(in);
      EXPECT_TRUE(net_->loop().RunUntil([&] {
        for (uint16_t pair = 0; pair < static_cast<uint16_t>(pairs); ++pair) {
          for (const std::string& packet : net_->Received(pair)) {
            if (packet.substr(kHeaderBytes) == in) return true;
          }
        }
        return false;
      }));
    }
  }
}

int Attach(const std::string& name, int flags) {
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(flags);
  HEARTH_CHECK(fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0);
  return fd;
}

TEST_F(TapTest, TakesDescriptorsOfOthers) {
  NEEDS_TAP();
  const base::UniqueFd fd(Attach("hearth-test", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
  TestInterface net({.path = "network-interfaces/eth0"}, [&](base::EventLoop* loop) {
    auto tap = Tap::Adopt(loop, {fd.get()});
    HEARTH_CHECK(tap.ok());
    EXPECT_EQ((*tap)->name(), "hearth-test");
    return *std::move(tap);
  });
  Host host("hearth-test");
  ASSERT_TRUE(net.Start());
  net.Send(Packet(Frame(60)));
  EXPECT_THAT(host.Received(), Contains(Frame(60)));
}

TEST_F(TapTest, RefusesDescriptorsThatAreNoQueuesOfATap) {
  NEEDS_TAP();
  TestLoop loop(TestLoop::Mode::kInline);
  const auto error = [&](std::vector<int> fds) {
    return std::string(Tap::Adopt(loop.loop(), fds).status().message());
  };
  EXPECT_THAT(error({0}), HasSubstr("tap_fds: TUNGETIFF file descriptor 0: "));
  EXPECT_THAT(error({999}), HasSubstr("tap_fds: TUNGETIFF file descriptor 999: Bad file"));
  const base::UniqueFd tun(Attach("hearth-tun", IFF_TUN | IFF_NO_PI));
  EXPECT_THAT(error({tun.get()}), HasSubstr("must be attached with IFF_TAP"));
  const base::UniqueFd one(Attach("hearth-one", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
  const base::UniqueFd two(Attach("hearth-two", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
  EXPECT_THAT(error({one.get(), two.get()}),
              HasSubstr("is a queue of hearth-two, the others are of hearth-one"));
}

TEST_F(TapTest, ErrorsSayWhatToDo) {
  NEEDS_TAP();
  TestLoop loop(TestLoop::Mode::kInline);
  const base::UniqueFd taken(Attach("hearth-taken", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
  EXPECT_EQ(Tap::Open(loop.loop(), "hearth-taken", 1).status().message(),
            "host_dev_name: attach to tap hearth-taken: Device or resource busy; another process, "
            "or another interface of this machine, has it");
  EXPECT_THAT(std::string(Tap::Open(loop.loop(), "lo", 2).status().message()),
              HasSubstr("ip tuntap add lo mode tap multi_queue vnet_hdr"));
  EXPECT_THAT(std::string(Tap::Open(loop.loop(), "a-name-that-is-too-long", 1).status().message()),
              HasSubstr("must have 1 to 15 characters"));
}

}  // namespace
}  // namespace hearth::virtio::net
