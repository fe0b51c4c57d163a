// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/stream_socket.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

constexpr uint32_t kLengthBytes = 4;
// Each holds the largest frame and some more.
constexpr uint32_t kBufferBytes = 80 * 1024;
static_assert(kBufferBytes >= kLengthBytes + kMaxFrameBytes);

uint32_t LoadLength(const uint8_t* from) {
  return uint32_t{from[0]} << 24 | uint32_t{from[1]} << 16 | uint32_t{from[2]} << 8 | from[3];
}

void StoreLength(uint32_t length, uint8_t* to) {
  to[0] = static_cast<uint8_t>(length >> 24);
  to[1] = static_cast<uint8_t>(length >> 16);
  to[2] = static_cast<uint8_t>(length >> 8);
  to[3] = static_cast<uint8_t>(length);
}

absl::StatusOr<base::UniqueFd> ConnectTo(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket: got a path of ", path.size(),
                                                   " bytes, must have at most ",
                                                   sizeof(address.sun_path) - 1));
  }
  base::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return base::Annotate(base::ErrnoStatus("socket", "AF_UNIX"), "socket");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  // A generic address by way of void*: the two types share their beginning.
  const void* generic = &address;
  if (connect(fd.get(), static_cast<const sockaddr*>(generic), sizeof(address)) != 0) {
    return base::Annotate(
        base::ErrnoStatus("connect", path, errno, "start passt --socket PATH before the machine"),
        "socket");
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StreamSocket>> StreamSocket::Connect(base::EventLoop* loop,
                                                                    const std::string& path) {
  HEARTH_ASSIGN_OR_RETURN(base::UniqueFd fd, ConnectTo(path));
  return std::unique_ptr<StreamSocket>(new StreamSocket(loop, std::move(fd), path));
}

StreamSocket::StreamSocket(base::EventLoop* loop, base::UniqueFd fd, std::string path)
    : loop_(loop),
      path_(std::move(path)),
      fd_(std::move(fd)),
      retry_(loop, [this] { OnRetry(); }),
      hang_up_(loop, [this] { OnHungUp(); }),
      in_(std::make_unique_for_overwrite<uint8_t[]>(kBufferBytes)),
      out_(std::make_unique_for_overwrite<uint8_t[]>(kBufferBytes)) {}

StreamSocket::~StreamSocket() { Stop(); }

absl::Status StreamSocket::Start(Owner* owner) {
  owner_ = owner;
  if (broken_) hang_up_.Schedule();
  absl::Status status;
  if (fd_.valid()) {
    status = Watch();
  } else if (!path_.empty()) {
    retry_.Set(std::chrono::steady_clock::now() + kRetry);
  }
  if (!status.ok()) owner_ = nullptr;
  return status;
}

absl::Status StreamSocket::Watch() {
  wants_room_ = false;
  return loop_->Add(fd_.get(), EPOLLIN | EPOLLET, [this](uint32_t events) { OnEvents(events); });
}

void StreamSocket::Stop() {
  if (owner_ == nullptr) return;
  owner_ = nullptr;
  retry_.Cancel();
  if (fd_.valid()) loop_->Remove(fd_.get());
}

void StreamSocket::OnEvents(uint32_t events) {
  if (wants_room_ && (events & EPOLLOUT) != 0) {
    WantRoom(false);
    if (Flush() == SendResult::kSent && !wants_room_) owner_->OnWritable(0);
  }
  // A hang-up is seen by reading, behind what was sent before it.
  if (owner_ != nullptr && (events & ~uint32_t{EPOLLOUT}) != 0) owner_->OnReadable(0);
}

void StreamSocket::WantRoom(bool wants) {
  if (wants == wants_room_ || owner_ == nullptr) return;
  wants_room_ = wants;
  const uint32_t events = EPOLLIN | EPOLLET | (wants ? uint32_t{EPOLLOUT} : 0);
  if (const absl::Status status = loop_->Modify(fd_.get(), events); !status.ok()) {
    HangUp(std::string(status.message()));
  }
}

Port::SendResult StreamSocket::Send(absl::Span<const iovec> packet, uint32_t size) {
  if (broken_ || !fd_.valid()) return SendResult::kFailed;
  const uint32_t frame_bytes = size - kHeaderBytes;
  const uint32_t needed = kLengthBytes + frame_bytes;
  if (kBufferBytes - out_end_ < needed) {
    if (Flush() == SendResult::kFailed) return SendResult::kFailed;
    if (kBufferBytes - (out_end_ - out_start_) < needed) {
      WantRoom(true);
      return SendResult::kFull;
    }
    std::memmove(out_.get(), out_.get() + out_start_, out_end_ - out_start_);
    out_end_ -= out_start_;
    out_start_ = 0;
  }
  StoreLength(frame_bytes, out_.get() + out_end_);
  out_end_ += kLengthBytes;
  uint64_t skip = kHeaderBytes;
  for (const iovec& piece : packet) {
    const uint64_t skipped = std::min<uint64_t>(skip, piece.iov_len);
    skip -= skipped;
    std::memcpy(out_.get() + out_end_, static_cast<const uint8_t*>(piece.iov_base) + skipped,
                piece.iov_len - skipped);
    out_end_ += static_cast<uint32_t>(piece.iov_len - skipped);
  }
  return SendResult::kSent;
}

Port::SendResult StreamSocket::Flush() {
  if (broken_ || !fd_.valid()) return SendResult::kSent;  // there is nobody to lose it for
  while (out_start_ < out_end_) {
    const ssize_t sent =
        send(fd_.get(), out_.get() + out_start_, out_end_ - out_start_, MSG_NOSIGNAL);
    if (sent >= 0) {
      out_start_ += static_cast<uint32_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      WantRoom(true);
      return SendResult::kSent;
    }
    HangUp(strerror(errno));
    return SendResult::kFailed;
  }
  out_start_ = out_end_ = 0;
  return SendResult::kSent;
}

ssize_t StreamSocket::Receive(absl::Span<const iovec> room) {
  while (true) {
    const uint32_t there = in_end_ - in_start_;
    if (there >= kLengthBytes) {
      const uint32_t length = LoadLength(in_.get() + in_start_);
      if (length < kEthernetBytes || length > kMaxFrameBytes) {
        HangUp(absl::StrCat("a frame of ", length, " bytes"));
        return 0;
      }
      if (there - kLengthBytes >= length) {
        constexpr uint8_t kNoHeader[kHeaderBytes] = {};
        // The header and the frame, into the room one after the other.
        const uint8_t* from[2] = {kNoHeader, in_.get() + in_start_ + kLengthBytes};
        uint64_t left[2] = {kHeaderBytes, length};
        int part = 0;
        for (const iovec& piece : room) {
          uint64_t offset = 0;
          while (part < 2 && offset < piece.iov_len) {
            const uint64_t bytes = std::min<uint64_t>(left[part], piece.iov_len - offset);
            std::memcpy(static_cast<uint8_t*>(piece.iov_base) + offset, from[part], bytes);
            offset += bytes;
            from[part] += bytes;
            left[part] -= bytes;
            if (left[part] == 0) ++part;
          }
        }
        in_start_ += kLengthBytes + length;
        return kHeaderBytes + length;
      }
    }
    if (!FillInput()) return 0;
  }
}

bool StreamSocket::FillInput() {
  if (broken_ || !fd_.valid()) return false;
  // There is always room: what is left is less than the largest frame.
  std::memmove(in_.get(), in_.get() + in_start_, in_end_ - in_start_);
  in_end_ -= in_start_;
  in_start_ = 0;
  ssize_t bytes;
  do {
    bytes = recv(fd_.get(), in_.get() + in_end_, kBufferBytes - in_end_, 0);
  } while (bytes < 0 && errno == EINTR);
  if (bytes > 0) {
    in_end_ += static_cast<uint32_t>(bytes);
    return true;
  }
  if (bytes == 0) {
    HangUp("the other end has closed it");
  } else if (errno != EAGAIN) {
    HangUp(strerror(errno));
  }
  return false;
}

void StreamSocket::HangUp(const std::string& why) {
  if (broken_) return;
  broken_ = true;
  in_start_ = in_end_ = out_start_ = out_end_ = 0;
  HEARTH_LOG(kWarning, "network socket ", path_, ": ", why,
             path_.empty() ? "" : "; trying to connect again");
  hang_up_.Schedule();
}

void StreamSocket::OnHungUp() {
  // Stopped meanwhile: Start() comes back to it.
  if (owner_ == nullptr) return;
  broken_ = false;
  loop_->Remove(fd_.get());
  fd_.reset();
  if (!path_.empty()) retry_.Set(std::chrono::steady_clock::now() + kRetry);
  owner_->OnCarrier();
}

void StreamSocket::OnRetry() {
  absl::StatusOr<base::UniqueFd> fd = ConnectTo(path_);
  if (fd.ok()) {
    fd_ = *std::move(fd);
    if (Watch().ok()) {
      HEARTH_LOG(kInfo, "network socket ", path_, ": connected again");
      owner_->OnCarrier();
      return;
    }
    fd_.reset();
  }
  retry_.Set(std::chrono::steady_clock::now() + kRetry);
}

}  // namespace hearth::virtio::net
