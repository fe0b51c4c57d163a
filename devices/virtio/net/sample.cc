// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/sample.h"

#include <sys/socket.h>

#include <string>
#include <utility>

#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/stream_socket.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

constexpr MacAddress kGuestMac = {0x06, 0, 0, 0, 0, 1};

class NetSample final : public Sample {
 public:
  std::unique_ptr<Device> Create(const DeviceContext& context) override {
    int ends[2];
    HEARTH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    outside_.reset(ends[1]);
    pending_.clear();
    NetOptions options = {.path = "network-interfaces/sample", .mac = kGuestMac, .mtu = 1500};
    auto backend = std::make_unique<StreamSocket>(context.loop, base::UniqueFd(ends[0]));
    return std::make_unique<NetDevice>(std::move(options), std::move(backend), context);
  }

  // Two frames, one larger than an MTU; and what the guest has sent is read.
  void Stir() override {
    char sink[65536];
    while (recv(outside_.get(), sink, sizeof(sink), 0) > 0) {
    }
    for (const size_t size : {size_t{60}, size_t{9000}}) {
      std::string wire = {0, 0, static_cast<char>(size >> 8), static_cast<char>(size)};
      wire += std::string(6, '\xff') + std::string(size - 6, 'x');
      // A socket that is full takes a part or nothing; the rest goes first the next time.
      if (pending_.empty()) pending_ = std::move(wire);
      const ssize_t sent = send(outside_.get(), pending_.data(), pending_.size(), MSG_NOSIGNAL);
      if (sent > 0) pending_.erase(0, static_cast<size_t>(sent));
    }
  }

  std::vector<Request> Requests() const override {
    const std::string packet =
        std::string(kHeaderBytes, '\0') + std::string(6, '\xff') + std::string(54, 'g');
    using namespace std::string_literals;
    return {
        {.queue = 1, .readable = packet},
        // VIRTIO_NET_CTRL_RX_PROMISC off, and a MAC table of two addresses.
        {.queue = 2, .readable = "\0\0\0"s, .writable_bytes = 1},
        {.queue = 2,
         .readable = "\1\0\1\0\0\0\6\0\0\0\0\2\1\0\0\0\1\0\x5e\0\0\1"s,
         .writable_bytes = 1},
    };
  }

 private:
  base::UniqueFd outside_;
  std::string pending_;  // of a frame that the socket took a part of
};

}  // namespace

std::unique_ptr<Sample> MakeSample() { return std::make_unique<NetSample>(); }

}  // namespace hearth::virtio::net
