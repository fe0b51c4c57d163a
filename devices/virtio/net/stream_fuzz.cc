// SPDX-License-Identifier: Apache-2.0
// A hostile peer of the stream socket: bytes in pieces, while the guest has buffers or not.
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "base/status_macros.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/net/stream_socket.h"
#include "devices/virtio/net/virtio_net.h"

namespace {

using hearth::virtio::TestLoop;
using hearth::virtio::net::Backend;
using hearth::virtio::net::kMaxPacketBytes;
using hearth::virtio::net::Port;
using hearth::virtio::net::StreamSocket;

class Owner final : public Backend::Owner {
 public:
  explicit Owner(Backend* backend) : backend_(*backend) {}
  void OnReadable(size_t pair) override {
    // In two pieces, the second of which may be too short.
    const iovec room[2] = {{first_, sizeof(first_)}, {second_, second_bytes}};
    while (true) {
      const ssize_t bytes = backend_.port(pair).Receive(room);
      if (bytes <= 0) break;
      HEARTH_CHECK(static_cast<size_t>(bytes) <= kMaxPacketBytes);
      if (echo) {
        const size_t there = std::min(static_cast<size_t>(bytes), sizeof(first_));
        const iovec packet = {first_, there};
        (void)backend_.port(pair).Send({&packet, 1}, static_cast<uint32_t>(there));
      }
    }
    (void)backend_.port(pair).Flush();
  }
  void OnWritable(size_t) override {}
  void OnCarrier() override {}

  size_t second_bytes = 2000;
  bool echo = true;

 private:
  Backend& backend_;
  uint8_t first_[100];
  uint8_t second_[2000];
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  TestLoop loop(TestLoop::Mode::kInline);
  int ends[2];
  HEARTH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  const hearth::base::UniqueFd peer(ends[1]);
  StreamSocket socket(loop.loop(), hearth::base::UniqueFd(ends[0]));
  Owner owner(&socket);
  HEARTH_CHECK(socket.Start(&owner).ok());
  while (size > 0) {
    // How many bytes come at once, and what the receiver is like.
    const size_t piece = std::min<size_t>(data[0] + 1, size - 1);
    owner.second_bytes = data[0] % 8 * 250;
    owner.echo = data[0] % 3 != 0;
    ++data, --size;
    if (send(peer.get(), data, piece, MSG_NOSIGNAL) < 0) break;
    loop.Settle();
    data += piece;
    size -= piece;
    uint8_t sink[4096];
    while (recv(peer.get(), sink, sizeof(sink), 0) > 0) {
    }
  }
  socket.Stop();
  return 0;
}
