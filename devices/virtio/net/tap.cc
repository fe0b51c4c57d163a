// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/net/features.h"
#include "devices/virtio/net/tun_abi.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

constexpr char kNode[] = "/dev/net/tun";

// What to do about a tap that cannot be attached to.
std::string AttachHint(const std::string& name, size_t pairs, int error) {
  const char* multi_queue = pairs > 1 ? " multi_queue" : "";
  switch (error) {
    case EPERM:
      return absl::StrCat("there is no such tap, or it is another user's: as root, ip tuntap add ",
                          name, " mode tap", multi_queue, " vnet_hdr user <user>");
    case EBUSY:
      return "another process, or another interface of this machine, has it";
    case EINVAL:
      return absl::StrCat("it is not a tap, or was made for another number of queues: ",
                          "ip tuntap add ", name, " mode tap", multi_queue, " vnet_hdr");
    default:
      return "";
  }
}

// The TUN_F_ bits that this tap takes. Probed from the most down, since old kernels refuse a set
// that has one unknown bit.
unsigned ProbeOffloads(int fd) {
  constexpr unsigned kBase = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  for (const unsigned set :
       {kBase | TUN_F_UFO | TUN_F_USO4 | TUN_F_USO6, kBase | TUN_F_USO4 | TUN_F_USO6,
        kBase | TUN_F_UFO, kBase, unsigned{TUN_F_CSUM}}) {
    if (ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(set)) == 0) return set;
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tap>> Tap::Open(base::EventLoop* loop, const std::string& name,
                                               size_t pairs) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return absl::InvalidArgumentError(absl::StrCat(
        "host_dev_name: got \"", name, "\", must have 1 to ", IFNAMSIZ - 1, " characters"));
  }
  std::vector<base::UniqueFd> fds;
  for (size_t i = 0; i < pairs; ++i) {
    base::UniqueFd fd(open(kNode, O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return base::Annotate(base::ErrnoStatus("open", kNode), "host_dev_name");
    ifreq request{};
    std::memcpy(request.ifr_name, name.data(), name.size());
    request.ifr_flags =
        static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (pairs > 1 ? IFF_MULTI_QUEUE : 0));
    if (ioctl(fd.get(), TUNSETIFF, &request) != 0) {
      const int error = errno;
      return base::Annotate(
          base::ErrnoStatus("attach to tap", name, error, AttachHint(name, pairs, error)),
          "host_dev_name");
    }
    fds.push_back(std::move(fd));
  }
  std::unique_ptr<Tap> tap(new Tap(loop, name));
  HEARTH_RETURN_IF_ERROR(tap->Init(std::move(fds)), "host_dev_name");
  return tap;
}

absl::StatusOr<std::unique_ptr<Tap>> Tap::Adopt(base::EventLoop* loop,
                                                const std::vector<int>& passed) {
  std::vector<base::UniqueFd> fds;
  std::string name;
  for (const int passed_fd : passed) {
    const std::string object = absl::StrCat("file descriptor ", passed_fd);
    ifreq request{};
    if (ioctl(passed_fd, TUNGETIFF, &request) != 0) {
      return base::Annotate(
          base::ErrnoStatus("TUNGETIFF", object, errno, "must be an attached queue of a tap"),
          "tap_fds");
    }
    constexpr int kWanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if ((request.ifr_flags & kWanted) != kWanted) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tap_fds: ", object, " must be attached with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR"));
    }
    const std::string its_name(request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ));
    if (!name.empty() && name != its_name) {
      return absl::InvalidArgumentError(absl::StrCat("tap_fds: ", object, " is a queue of ",
                                                     its_name, ", the others are of ", name));
    }
    name = its_name;
    base::UniqueFd fd(fcntl(passed_fd, F_DUPFD_CLOEXEC, 0));
    if (!fd.valid()) return base::Annotate(base::ErrnoStatus("dup", object), "tap_fds");
    const int flags = fcntl(fd.get(), F_GETFL);
    if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
      return base::Annotate(base::ErrnoStatus("fcntl", object), "tap_fds");
    }
    fds.push_back(std::move(fd));
  }
  std::unique_ptr<Tap> tap(new Tap(loop, name));
  HEARTH_RETURN_IF_ERROR(tap->Init(std::move(fds)), "tap_fds");
  return tap;
}

absl::Status Tap::Init(std::vector<base::UniqueFd> fds) {
  for (base::UniqueFd& fd : fds) {
    int header_bytes = kHeaderBytes;
    if (ioctl(fd.get(), TUNSETVNETHDRSZ, &header_bytes) != 0) {
      return base::ErrnoStatus("TUNSETVNETHDRSZ", name_);
    }
    int little_endian = 1;
    if (ioctl(fd.get(), TUNSETVNETLE, &little_endian) != 0) {
      return base::ErrnoStatus("TUNSETVNETLE", name_);
    }
    queues_.push_back(std::make_unique<Queue>(this, queues_.size(), std::move(fd)));
  }
  offloads_ = FeaturesOfTun(ProbeOffloads(queues_[0]->fd()));
  HEARTH_RETURN_IF_ERROR(SetGuestOffloads(0));
  SetFilter(ReceiveFilter{});
  return SetPairs(1);
}

Tap::~Tap() { Stop(); }

absl::Status Tap::Start(Owner* owner) {
  owner_ = owner;
  for (const auto& queue : queues_) {
    queue->wants_room_ = false;
    const absl::Status added =
        loop_->Add(queue->fd(), EPOLLIN | EPOLLET,
                   [this, queue = queue.get()](uint32_t events) { OnEvents(queue, events); });
    if (!added.ok()) {
      for (const auto& other : queues_) {
        if (other == queue) break;
        loop_->Remove(other->fd());
      }
      owner_ = nullptr;
      return base::Annotate(added, absl::string_view(name_));
    }
  }
  return absl::OkStatus();
}

void Tap::Stop() {
  if (owner_ == nullptr) return;
  for (const auto& queue : queues_) loop_->Remove(queue->fd());
  owner_ = nullptr;
}

void Tap::OnEvents(Queue* queue, uint32_t events) {
  if (queue->wants_room_ && (events & EPOLLOUT) != 0) {
    WantRoom(queue, false);
    owner_->OnWritable(queue->pair_);
  }
  // The owner may have stopped meanwhile.
  if (owner_ != nullptr && (events & ~uint32_t{EPOLLOUT}) != 0) owner_->OnReadable(queue->pair_);
}

void Tap::WantRoom(Queue* queue, bool wants) {
  queue->wants_room_ = wants;
  const uint32_t events = EPOLLIN | EPOLLET | (wants ? uint32_t{EPOLLOUT} : 0);
  if (const absl::Status status = loop_->Modify(queue->fd(), events); !status.ok()) {
    HEARTH_LOG(kError, "tap ", name_, ": ", status.message());
  }
}

absl::Status Tap::SetGuestOffloads(uint64_t features) {
  // Of the interface, by any of its queues that is attached; the first always is.
  if (ioctl(queues_[0]->fd(), TUNSETOFFLOAD,
            static_cast<unsigned long>(TunOffloads(features & offloads_))) != 0) {
    return base::ErrnoStatus("TUNSETOFFLOAD", name_);
  }
  return absl::OkStatus();
}

absl::Status Tap::SetPairs(size_t pairs) {
  // A tap with a single queue cannot detach it, nor has to.
  for (const auto& queue : queues_) {
    const bool attach = queue->pair_ < pairs;
    if (queue->attached_ == attach) continue;
    ifreq request{};
    request.ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
    if (ioctl(queue->fd(), TUNSETQUEUE, &request) != 0) {
      return base::ErrnoStatus("TUNSETQUEUE", name_);
    }
    queue->attached_ = attach;
  }
  return absl::OkStatus();
}

void Tap::SetFilter(const ReceiveFilter& filter) {
  // Laid out as tun_filter. A count of 0 turns the filter off. The kernel compares eight addresses,
  // and multicast ones beyond by a hash; with more of the others it lets everything through.
  constexpr size_t kMost = 64;
  struct {
    uint16_t flags;
    uint16_t count;
    MacAddress addresses[kMost];
  } request{};
  static_assert(offsetof(decltype(request), addresses) == sizeof(tun_filter));
  if (!filter.everything && filter.addresses.size() <= kMost) {
    request.flags = filter.all_multicast ? TUN_FLT_ALLMULTI : 0;
    request.count = static_cast<uint16_t>(filter.addresses.size());
    std::copy(filter.addresses.begin(), filter.addresses.end(), request.addresses);
  }
  if (ioctl(queues_[0]->fd(), TUNSETTXFILTER, &request) < 0) {
    HEARTH_LOG(kWarning, "tap ", name_, ": TUNSETTXFILTER: ", strerror(errno),
               "; the guest gets all packets");
  }
}

Port::SendResult Tap::Queue::Send(absl::Span<const iovec> packet, uint32_t /*size*/) {
  if (writev(fd_.get(), packet.data(), static_cast<int>(packet.size())) >= 0) [[likely]] {
    return SendResult::kSent;
  }
  switch (errno) {
    case EAGAIN:
      tap_.WantRoom(this, true);
      return SendResult::kFull;
    case EINVAL:  // a header or frame that makes no sense
    case EMSGSIZE:
    case EFAULT:
      return SendResult::kBad;
    default:  // EIO: the interface is down
      return SendResult::kFailed;
  }
}

ssize_t Tap::Queue::Receive(absl::Span<const iovec> room) {
  const ssize_t bytes = readv(fd_.get(), room.data(), static_cast<int>(room.size()));
  if (bytes >= 0) [[likely]]
    return bytes;
  return errno == EAGAIN ? 0 : -errno;
}

}  // namespace hearth::virtio::net
