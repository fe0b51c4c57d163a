// SPDX-License-Identifier: Apache-2.0
// A service inside the VMM, between the guest and the network.
#include <deque>
#include <string>
#include <utility>

#include "devices/virtio/net/net_test_base.h"

namespace hearth::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Answers each packet with its frame in capitals.
class FakeHook final : public PacketHook {
 public:
  std::array<uint8_t, 4> address() const override { return {169, 254, 169, 254}; }
  void SetWake(absl::AnyInvocable<void()> new_wake) override { wake = std::move(new_wake); }
  bool OnPacket(const NetHeader& header, absl::Span<const uint8_t> frame) override {
    headers.push_back(header);
    if (!accepts) return false;
    std::string answer(frame.begin(), frame.end());
    for (char& c : answer) c = c == 'x' ? 'X' : c;
    answers.push_back(std::move(answer));
    return true;
  }
  size_t Pull(NetHeader* header, absl::Span<uint8_t> frame) override {
    if (answers.empty()) return 0;
    header->flags = 2;  // VIRTIO_NET_HDR_F_DATA_VALID
    const std::string answer = std::move(answers.front());
    answers.pop_front();
    std::memcpy(frame.data(), answer.data(), answer.size());
    return answer.size();
  }

  bool accepts = true;
  absl::AnyInvocable<void()> wake;
  std::vector<NetHeader> headers;
  std::deque<std::string> answers;
};

std::string ForHook(size_t size) {
  std::string frame = Frame(size);
  frame.replace(12, 2, std::string("\x08\0", 2));
  frame.replace(30, 4, "\xa9\xfe\xa9\xfe");
  return frame;
}

std::string Answer(size_t size) {
  std::string frame = ForHook(size);
  for (char& c : frame) c = c == 'x' ? 'X' : c;
  std::string header(kHeaderBytes, '\0');
  header[0] = 2;
  return header + frame;
}

class HookTest : public testing::Test {
 protected:
  FakeHook hook_;
  TestInterface net_{{.path = "network-interfaces/eth0", .hook = &hook_}};
};

TEST_F(HookTest, GetsItsPacketsAndAnswers) {
  ASSERT_TRUE(net_.Start());
  net_.PostBuffers(4, 1526);
  net_.Send(Packet(ForHook(60)));
  EXPECT_THAT(net_.port().sent, IsEmpty());
  EXPECT_EQ(net_.SentBack(), 1);
  EXPECT_THAT(net_.Received(), ElementsAre(Answer(60)));
  net_.Send(Packet(Frame(60)));
  EXPECT_EQ(net_.port().sent.size(), 1u);
  EXPECT_EQ(net_.Metric("hook_tx_packets"), 1u);
  EXPECT_EQ(net_.Metric("hook_rx_packets"), 1u);
}

TEST_F(HookTest, LetsPassWhatItDoesNotWant) {
  ASSERT_TRUE(net_.Start());
  hook_.accepts = false;
  net_.Send(Packet(ForHook(60)));
  EXPECT_THAT(net_.port().sent, ElementsAre(Packet(ForHook(60))));
}

TEST_F(HookTest, WaitsForTheGuestsBuffers) {
  ASSERT_TRUE(net_.Start());
  net_.Send(Packet(ForHook(60)));
  EXPECT_EQ(hook_.answers.size(), 1u);
  net_.PostBuffers(1, 1526);
  EXPECT_THAT(net_.Received(), ElementsAre(Answer(60)));
}

TEST_F(HookTest, SpeaksUpByItself) {
  ASSERT_TRUE(net_.Start(~0ull, 64));
  net_.PostBuffers(40, 1526);
  hook_.answers.push_back(ForHook(30000));  // over many buffers
  ASSERT_TRUE(hook_.wake);
  hook_.wake();
  const auto packets = net_.Received();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].substr(kHeaderBytes), ForHook(30000));
  net_.driver().Reset();
  EXPECT_FALSE(hook_.wake);
}

}  // namespace
}  // namespace hearth::virtio::net
