// SPDX-License-Identifier: Apache-2.0
// The stream socket, against a peer that is the test.
#include "devices/virtio/net/stream_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "devices/virtio/net/net_test_base.h"

namespace hearth::virtio::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

NetOptions Options() { return {.path = "network-interfaces/eth0"}; }

std::string Wire(const std::string& frame) {
  const auto size = static_cast<uint32_t>(frame.size());
  std::string wire;
  for (int shift = 24; shift >= 0; shift -= 8) wire.push_back(static_cast<char>(size >> shift));
  return wire + frame;
}

class StreamSocketTest : public testing::Test {
 protected:
  StreamSocketTest()
      : net_(Options(), [this](base::EventLoop* loop) {
          int ends[2];
          HEARTH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
          peer_.reset(ends[1]);
          return std::make_unique<StreamSocket>(loop, base::UniqueFd(ends[0]));
        }) {}

  void Write(const std::string& bytes) {
    ASSERT_EQ(send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    net_.loop().Settle();
  }
  std::string Read(size_t size) {
    std::string bytes;
    char part[65536];
    EXPECT_TRUE(net_.loop().RunUntil([&] {
      // All that is there: a socket says that there is room only when it is nearly empty.
      ssize_t got;
      while ((got = recv(peer_.get(), part, std::min(sizeof(part), size - bytes.size()), 0)) > 0)
        bytes.append(part, static_cast<size_t>(got));
      return bytes.size() == size;
    }));
    return bytes;
  }

  base::UniqueFd peer_;
  TestInterface net_;
};

TEST_F(StreamSocketTest, SpeaksTheProtocol) {
  ASSERT_TRUE(net_.Start());
  EXPECT_EQ(net_.device().features() & (kHostOffloads | kGuestOffloads), 0u);
  net_.Send(Packet(Frame(60, 'a')));
  net_.Send(Packet(Frame(61, 'b')));
  EXPECT_EQ(Read(129), Wire(Frame(60, 'a')) + Wire(Frame(61, 'b')));
  EXPECT_EQ(net_.SentBack(), 2);
  net_.PostBuffers(4, 1526);
  Write(Wire(Frame(70, 'c')) + Wire(Frame(80, 'd')));
  EXPECT_THAT(net_.Received(), ElementsAre(Packet(Frame(70, 'c')), Packet(Frame(80, 'd'))));
}

TEST_F(StreamSocketTest, PutsFramesTogetherThatComeInPieces) {
  ASSERT_TRUE(net_.Start());
  net_.PostBuffers(8, 1526);
  const std::string wire = Wire(Frame(70, 'a')) + Wire(Frame(300, 'b'));
  for (const char byte : wire) Write(std::string(1, byte));
  EXPECT_THAT(net_.Received(), ElementsAre(Packet(Frame(70, 'a')), Packet(Frame(300, 'b'))));
}

TEST_F(StreamSocketTest, LosesNothingWhenThePeerIsSlow) {
  ASSERT_TRUE(net_.Start(~0ull, 256));
  std::string wanted;
  int sent = 0;
  int back = 0;
  // Until the socket and the buffer in front of it are full.
  while (net_.Metric("tx_full") == 0) {
    ASSERT_LT(sent, 100000);
    const std::string frame = Frame(40000, static_cast<char>('a' + sent % 26));
    wanted += Wire(frame);
    net_.Send(Packet(frame));
    back += net_.SentBack();
    ++sent;
    ASSERT_LT(wanted.size(), size_t{8} << 20);
  }
  EXPECT_LT(back, sent);
  EXPECT_TRUE(Read(wanted.size()) == wanted);
  EXPECT_TRUE(net_.loop().RunUntil([&] { return (back += net_.SentBack()) == sent; }));
}

TEST_F(StreamSocketTest, LeavesFramesInTheSocketWithoutBuffers) {
  ASSERT_TRUE(net_.Start());
  Write(Wire(Frame(70, 'a')) + Wire(Frame(80, 'b')));
  EXPECT_TRUE(net_.Received().empty());
  net_.PostBuffers(4, 1526);
  EXPECT_THAT(net_.Received(), ElementsAre(Packet(Frame(70, 'a')), Packet(Frame(80, 'b'))));
}

TEST_F(StreamSocketTest, LosesTheCarrierWithThePeer) {
  ASSERT_TRUE(net_.Start());
  net_.PostBuffers(4, 1526);
  EXPECT_EQ(net_.Status(), kStatusLinkUp);
  Write(Wire(Frame(70, 'a')));
  peer_.reset();
  net_.loop().Settle();
  EXPECT_EQ(net_.Received().size(), 1u);  // what was sent before
  EXPECT_EQ(net_.Status(), 0);
  net_.Send(Packet(Frame(60)));
  EXPECT_EQ(net_.SentBack(), 1);
  net_.driver().Reset();
  EXPECT_TRUE(net_.Start());
  EXPECT_EQ(net_.Status(), 0);
}

TEST_F(StreamSocketTest, SeesThatThePeerIsGoneWhenItSends) {
  ASSERT_TRUE(net_.Start());
  peer_.reset();
  net_.Send(Packet(Frame(60)));
  EXPECT_EQ(net_.SentBack(), 1);
  EXPECT_EQ(net_.Status(), 0);
}

TEST_F(StreamSocketTest, EndsAConnectionThatSpeaksNonsense) {
  for (const std::string& nonsense : {std::string("\0\0\0\0", 4), std::string("\0\0\0\x0d", 4),
                                      std::string("\x7f\xff\xff\xff")}) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    base::UniqueFd peer(ends[1]);
    TestInterface net(Options(), [&](base::EventLoop* loop) {
      return std::make_unique<StreamSocket>(loop, base::UniqueFd(ends[0]));
    });
    ASSERT_TRUE(net.Start());
    net.PostBuffers(1, 1526);
    ASSERT_EQ(send(peer.get(), nonsense.data(), nonsense.size(), 0),
              static_cast<ssize_t>(nonsense.size()));
    net.loop().Settle();
    EXPECT_EQ(net.Status(), 0);
    char byte;
    EXPECT_EQ(recv(peer.get(), &byte, 1, 0), 0);  // closed
  }
}

// A server at a path.
class Server {
 public:
  explicit Server(const std::string& path) : path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    fd_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    HEARTH_CHECK(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    HEARTH_CHECK(listen(fd_.get(), 1) == 0);
  }
  ~Server() { unlink(path_.c_str()); }
  base::UniqueFd Accept() {
    return base::UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK));
  }

 private:
  const std::string path_;
  base::UniqueFd fd_;
};

TEST(StreamSocketPathTest, ConnectsAgain) {
  // Not in TempDir(): a socket's path has at most 107 bytes.
  std::string folder = "/tmp/net-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/s";
  auto server = std::make_unique<Server>(path);
  TestInterface net(Options(), [&](base::EventLoop* loop) {
    auto backend = StreamSocket::Connect(loop, path);
    HEARTH_CHECK(backend.ok());
    return *std::move(backend);
  });
  ASSERT_TRUE(net.Start());
  net.PostBuffers(1, 1526);
  base::UniqueFd peer = server->Accept();
  ASSERT_TRUE(peer.valid());
  peer.reset();
  server.reset();
  EXPECT_TRUE(net.loop().RunUntil([&] { return net.Status() == 0; }));
  server = std::make_unique<Server>(path);
  EXPECT_TRUE(net.loop().RunUntil([&] { return net.Status() == kStatusLinkUp; }));
  peer = server->Accept();
  ASSERT_TRUE(peer.valid());
  const std::string wire = Wire(Frame(70));
  ASSERT_EQ(send(peer.get(), wire.data(), wire.size(), 0), static_cast<ssize_t>(wire.size()));
  net.loop().Settle();
  EXPECT_THAT(net.Received(), ElementsAre(Packet(Frame(70))));
  server.reset();
  rmdir(folder.c_str());
}

TEST(StreamSocketPathTest, ErrorsSayWhatToDo) {
  TestLoop loop(TestLoop::Mode::kInline);
  EXPECT_THAT(StreamSocket::Connect(loop.loop(), "/nowhere/s").status().message(),
              testing::StrEq("socket: connect /nowhere/s: No such file or directory; start passt "
                             "--socket PATH before the machine"));
  EXPECT_THAT(
      std::string(StreamSocket::Connect(loop.loop(), std::string(200, 'x')).status().message()),
      HasSubstr("socket: got a path of 200 bytes"));
}

}  // namespace
}  // namespace hearth::virtio::net
