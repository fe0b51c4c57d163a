// SPDX-License-Identifier: Apache-2.0
// BackendFake: a network of strings, for tests. Everything is public: it is the test's.
#ifndef HEARTH_DEVICES_VIRTIO_NET_BACKEND_FAKE_H_
#define HEARTH_DEVICES_VIRTIO_NET_BACKEND_FAKE_H_

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/net/backend.h"

namespace hearth::virtio::net {

class PortFake final : public Port {
 public:
  SendResult Send(absl::Span<const iovec> packet, uint32_t size) override {
    if (next_result != SendResult::kSent) return next_result;
    std::string bytes;
    for (const iovec& piece : packet) {
      bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    if (bytes.size() != size) bytes = "the size does not fit";
    sent.push_back(std::move(bytes));
    return SendResult::kSent;
  }
  // As a tap: what does not fit is lost, and the result says no more than what fits.
  ssize_t Receive(absl::Span<const iovec> room) override {
    ++receive_calls;
    vectors_seen = room.size();
    if (incoming.empty()) return 0;
    const std::string packet = std::move(incoming.front());
    incoming.pop_front();
    size_t done = 0;
    for (const iovec& piece : room) {
      const size_t part = std::min(piece.iov_len, packet.size() - done);
      std::memcpy(piece.iov_base, packet.data() + done, part);
      done += part;
    }
    return static_cast<ssize_t>(done);
  }

  std::deque<std::string> incoming;  // with NetHeader
  std::vector<std::string> sent;
  SendResult next_result = SendResult::kSent;
  int receive_calls = 0;
  size_t vectors_seen = 0;
};

class BackendFake final : public Backend {
 public:
  BackendFake(size_t pairs, uint64_t offloads) : offered(offloads) {
    for (size_t i = 0; i < pairs; ++i) ports.push_back(std::make_unique<PortFake>());
  }

  uint64_t offloads() const override { return offered; }
  size_t pairs() const override { return ports.size(); }
  Port& port(size_t pair) override { return *ports[pair]; }
  bool carrier() const override { return has_carrier; }
  absl::Status Start(Owner* new_owner) override {
    owner = new_owner;
    return absl::OkStatus();
  }
  void Stop() override { owner = nullptr; }
  absl::Status SetGuestOffloads(uint64_t features) override {
    guest_offloads = features;
    return absl::OkStatus();
  }
  absl::Status SetPairs(size_t new_pairs) override {
    pairs_set = new_pairs;
    return absl::OkStatus();
  }
  void SetFilter(const ReceiveFilter& new_filter) override { filter = new_filter; }

  // A packet comes in.
  void Deliver(std::string packet, size_t pair = 0) {
    ports[pair]->incoming.push_back(std::move(packet));
    if (owner != nullptr) owner->OnReadable(pair);
  }

  const uint64_t offered;
  std::vector<std::unique_ptr<PortFake>> ports;
  bool has_carrier = true;
  Owner* owner = nullptr;
  uint64_t guest_offloads = 0;
  size_t pairs_set = 0;
  ReceiveFilter filter;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_BACKEND_FAKE_H_
