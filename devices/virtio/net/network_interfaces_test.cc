// SPDX-License-Identifier: Apache-2.0
// The noun: what the API takes, refuses and answers.
#include "devices/virtio/net/network_interfaces.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/net/backend_fake.h"
#include "devices/virtio/net/module.h"
#include "devices/virtio/net/net_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/control/dispatch.h"

namespace hearth::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NetworkInterfacesTest : public testing::Test {
 protected:
  NetworkInterfacesTest() { family_.AddResources(&resources_); }

  std::string Do(Method method, absl::string_view id, absl::string_view body,
                 MachineControl::State state) {
    Resource& resource = *resources_[0];
    const Verb* const verb = FindVerb(resource, method);
    std::unique_ptr<google::protobuf::MessageLite> message;
    if (verb->body != nullptr) {
      auto parsed = ParseBody(resource, *verb, id, body);
      if (!parsed.ok()) return std::string(parsed.status().message());
      message = *std::move(parsed);
    }
    const auto reply = Perform(resource, *verb, id, message.get(), state);
    if (!reply.ok()) return std::string(reply.status().message());
    return reply->body == nullptr ? "" : json::ToJson(*reply->body, *reply->schema);
  }
  std::string Put(absl::string_view id, absl::string_view body) {
    return Do(Method::kPut, id, body, MachineControl::State::kNotStarted);
  }
  std::string Patch(absl::string_view id, absl::string_view body) {
    return Do(Method::kPatch, id, body, MachineControl::State::kRunning);
  }
  std::string Get(absl::string_view id) {
    return Do(Method::kGet, id, "", MachineControl::State::kRunning);
  }

  NetworkInterfaces family_;
  std::vector<std::unique_ptr<Resource>> resources_;
};

constexpr char kFull[] =
    R"({"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"06:00:ac:10:00:02","mtu":1400,)"
    R"("rx_rate_limiter":{"bandwidth":{"size":1000,"refill_time":100}},"queue_pairs":2,)"
    R"("queue_size":512,"io_thread":1,"offloads":false})";

TEST_F(NetworkInterfacesTest, KeepsWhatItIsGiven) {
  EXPECT_EQ(Put("eth0", kFull), "");
  EXPECT_EQ(Get("eth0"), kFull);
  EXPECT_EQ(Put("eth1", R"({"iface_id":"eth1","socket":"/run/passt"})"), "");
  EXPECT_EQ(Put("eth0", R"({"iface_id":"eth0","host_dev_name":"tap0"})"), "");
  ASSERT_EQ(resources_[0]->Config().size(), 2u);
  EXPECT_EQ(Get("eth0"), R"({"iface_id":"eth0","host_dev_name":"tap0"})");
  EXPECT_EQ(Get("eth7"), "network-interfaces eth7: there is no network interface of this id");
  const auto requests = family_.Requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].path, "network-interfaces/eth1");
}

TEST_F(NetworkInterfacesTest, NamesTheFieldThatIsWrong) {
  const auto error = [this](const std::string& fields) {
    return Put("eth0", R"({"iface_id":"eth0",)" + fields + "}");
  };
  const std::string prefix = "network-interfaces eth0: ";
  EXPECT_EQ(error(R"("guest_mac":"06:00:ac:10:00:02")"),
            prefix + "missing required field host_dev_name (or tap_fds, or socket)");
  EXPECT_EQ(error(R"("host_dev_name":"tap0","socket":"/s")"),
            prefix + "host_dev_name, tap_fds, socket: got several, must be one of them");
  EXPECT_THAT(error(R"("host_dev_name":"tap0","guest_mac":"06:00:ac:10:00:0x")"),
              HasSubstr("guest_mac: got \"06:00:ac:10:00:0x\", must be a unicast address"));
  EXPECT_THAT(error(R"("host_dev_name":"tap0","guest_mac":"01:00:ac:10:00:02")"),
              HasSubstr("must be a unicast address"));
  EXPECT_THAT(error(R"("host_dev_name":"tap0","mtu":67)"), HasSubstr("mtu: got 67"));
  EXPECT_THAT(error(R"("host_dev_name":"tap0","mtu":65536)"), HasSubstr("mtu: got 65536"));
  EXPECT_THAT(error(R"("host_dev_name":"a-name-of-16-byte")"), HasSubstr("host_dev_name: got"));
  EXPECT_EQ(error(R"("host_dev_name":"tap0","queue_size":100)"),
            prefix + "queue_size: got 100, must be a power of two");
  EXPECT_EQ(error(R"("socket":"/s","queue_pairs":2)"),
            prefix + "queue_pairs: got 2, must be 1 with socket");
  EXPECT_EQ(error(R"("tap_fds":[5,6],"queue_pairs":3)"),
            prefix + "tap_fds: got 2, must be one for each of the queue_pairs");
  EXPECT_EQ(error(R"("tap_fds":[5,5])"),
            prefix + "tap_fds: got 5, must be different file descriptors from 3 on");
  EXPECT_EQ(error(R"("tap_fds":[2])"),
            prefix + "tap_fds: got 2, must be different file descriptors from 3 on");
  EXPECT_THAT(Put("et/h", R"({"iface_id":"et/h","host_dev_name":"tap0"})"),
              HasSubstr("iface_id: got \"et/h\""));
  EXPECT_THAT(family_.Requests(), IsEmpty());
}

TEST_F(NetworkInterfacesTest, RefusesWhatAnotherInterfaceHas) {
  EXPECT_EQ(Put("eth0", kFull), "");
  EXPECT_EQ(Put("eth1", R"({"iface_id":"eth1","host_dev_name":"tap0"})"),
            "network-interfaces eth1: host_dev_name: tap0 is the tap of eth0 already");
  EXPECT_EQ(
      Put("eth1", R"({"iface_id":"eth1","host_dev_name":"tap1","guest_mac":"06:00:AC:10:00:02"})"),
      "network-interfaces eth1: guest_mac: 06:00:AC:10:00:02 is the address of eth0 already");
  EXPECT_EQ(Put("eth1", R"({"iface_id":"eth1","tap_fds":[7,8]})"), "");
  EXPECT_EQ(Put("eth2", R"({"iface_id":"eth2","tap_fds":[8]})"),
            "network-interfaces eth2: tap_fds: 8 is a queue of eth1 already");
  EXPECT_EQ(Put("eth2", R"({"iface_id":"eth2","socket":"/s"})"), "");
  EXPECT_EQ(Put("eth3", R"({"iface_id":"eth3","socket":"/s"})"),
            "network-interfaces eth3: socket: /s is the socket of eth2 already");
  EXPECT_EQ(Put("eth0", kFull), "");  // itself
}

TEST_F(NetworkInterfacesTest, AStartNamesTheInterfaceAndTheField) {
  EXPECT_EQ(Put("eth0", R"({"iface_id":"eth0","socket":"/nowhere/s"})"), "");
  TestLoop loop(TestLoop::Mode::kInline);
  auto requests = family_.Requests();
  const auto device = requests[0].create(loop.Context(nullptr));
  EXPECT_THAT(std::string(device.status().message()),
              HasSubstr("network-interfaces/eth0: socket: connect /nowhere/s: No such file"));
}

TEST_F(NetworkInterfacesTest, ChangesARunningInterface) {
  EXPECT_EQ(Put("eth0", kFull), "");
  EXPECT_EQ(Patch("eth0", R"({"iface_id":"eth0","link_up":false})"),
            "the machine has no such network interface");
  TestLoop loop(TestLoop::Mode::kInline);
  NetDevice device({.path = "network-interfaces/eth0"}, std::make_unique<BackendFake>(1, 0),
                   loop.Context(nullptr));
  family_.Attach({DeviceHandle(&device, loop.loop(), /*inline_loop=*/true)});
  EXPECT_EQ(Patch("eth0", R"({"iface_id":"eth0","link_up":false})"), "");
  EXPECT_FALSE(device.link_up());
  EXPECT_EQ(Patch("eth0", R"({"rx_rate_limiter":{"ops":{"size":5,"refill_time":50}}})"), "");
  EXPECT_FALSE(device.link_up());
  EXPECT_THAT(Get("eth0"),
              HasSubstr(R"("rx_rate_limiter":{"bandwidth":{"size":1000,"refill_time":100},)"
                        R"("ops":{"size":5,"refill_time":50}})"));
  EXPECT_EQ(Patch("eth0", R"({"link_up":true})"), "");
  EXPECT_TRUE(device.link_up());
  EXPECT_EQ(Patch("eth0", R"({"iface_id":"eth0"})"), "Empty PATCH request.");
  EXPECT_THAT(Patch("eth0", R"({"host_dev_name":"tap1"})"), HasSubstr("host_dev_name"));
  EXPECT_EQ(Patch("eth9", R"({"link_up":true})"),
            "network-interfaces eth9: there is no network interface of this id");
}

TEST(NetModuleTest, SaysWhatItIs) {
  EXPECT_EQ(kModule.name, "net");
  EXPECT_EQ(kModule.virtio_id, 1u);
  for (const SystemCall& call : kModule.system_calls) EXPECT_FALSE(call.reason.empty());
}

}  // namespace
}  // namespace hearth::virtio::net
