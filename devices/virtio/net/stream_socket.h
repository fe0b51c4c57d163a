// SPDX-License-Identifier: Apache-2.0
// StreamSocket: a Unix stream socket as a backend, in the protocol of passt and of QEMU's
// `-netdev stream`: each frame follows its length, a 32-bit big-endian number. For users without
// the right to a tap.
//
// There is no NetHeader on the wire, so there are no offloads. Frames are collected in buffers of
// our own, since a system call for several costs more than a copy saves. The peer is not trusted: a
// length that no frame has ends the connection. When the peer is gone the carrier is too, and a
// socket that was connected by path tries again every second.
#ifndef HEARTH_DEVICES_VIRTIO_NET_STREAM_SOCKET_H_
#define HEARTH_DEVICES_VIRTIO_NET_STREAM_SOCKET_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend.h"

namespace hearth::virtio::net {

class StreamSocket final : public Backend, private Port {
 public:
  static constexpr std::chrono::seconds kRetry{1};

  // Errors name the field socket.
  static absl::StatusOr<std::unique_ptr<StreamSocket>> Connect(base::EventLoop* loop,
                                                               const std::string& path);
  // Over a connected, non-blocking stream socket; it is never connected again.
  StreamSocket(base::EventLoop* loop, base::UniqueFd fd) : StreamSocket(loop, std::move(fd), "") {}
  ~StreamSocket() override;

  uint64_t offloads() const override { return 0; }
  size_t pairs() const override { return 1; }
  Port& port(size_t /*pair*/) override { return *this; }
  bool carrier() const override { return fd_.valid(); }
  absl::Status Start(Owner* owner) override;
  void Stop() override;
  absl::Status SetGuestOffloads(uint64_t /*features*/) override { return absl::OkStatus(); }
  absl::Status SetPairs(size_t /*pairs*/) override { return absl::OkStatus(); }
  void SetFilter(const ReceiveFilter& /*filter*/) override {}

 private:
  StreamSocket(base::EventLoop* loop, base::UniqueFd fd, std::string path);

  SendResult Send(absl::Span<const iovec> packet, uint32_t size) override;
  SendResult Flush() override;
  ssize_t Receive(absl::Span<const iovec> room) override;

  absl::Status Watch();
  void OnEvents(uint32_t events);
  void OnRetry();
  void WantRoom(bool wants);
  // Reads what there is. False: there is nothing, or the peer is gone.
  bool FillInput();
  // Ends the connection, at the end of the turn: nobody else expects it to end in his hands.
  void HangUp(const std::string& why);
  void OnHungUp();

  base::EventLoop* const loop_;
  const std::string path_;  // "" where it cannot be connected again
  base::UniqueFd fd_;
  Owner* owner_ = nullptr;
  base::Timer retry_;
  base::TurnTask hang_up_;
  bool broken_ = false;  // hang_up_ is to come
  bool wants_room_ = false;

  // Received, not yet delivered: [in_start_, in_end_); and frames to send.
  std::unique_ptr<uint8_t[]> in_, out_;
  uint32_t in_start_ = 0, in_end_ = 0;
  uint32_t out_start_ = 0, out_end_ = 0;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_STREAM_SOCKET_H_
