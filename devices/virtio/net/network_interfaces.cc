// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/network_interfaces.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/net/mac_address.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/stream_socket.h"
#include "devices/virtio/net/tap.h"
#include "proto/rate_limit.h"

namespace hearth::virtio::net {
namespace {

constexpr uint32_t kDefaultQueueSize = 256;

uint32_t QueuePairs(const NetworkInterface& config) {
  if (config.has_queue_pairs()) return config.queue_pairs();
  return std::max(config.tap_fds_size(), 1);
}

absl::Status CheckId(absl::string_view id) {
  const bool good = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (good && !id.empty() && id.size() <= 64) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("iface_id: got \"", id, "\", must be 1 to 64 letters, digits, \"_\" or \"-\""));
}

absl::Status CheckBackend(const NetworkInterface& config) {
  const int given = (config.has_host_dev_name() ? 1 : 0) + (config.tap_fds_size() > 0 ? 1 : 0) +
                    (config.has_socket() ? 1 : 0);
  if (given == 0) {
    return absl::InvalidArgumentError(
        "missing required field host_dev_name (or tap_fds, or socket)");
  }
  if (given > 1) {
    return absl::InvalidArgumentError(
        "host_dev_name, tap_fds, socket: got several, must be one of them");
  }
  const uint32_t pairs = QueuePairs(config);
  if (config.has_socket() && pairs != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("queue_pairs: got ", pairs, ", must be 1 with socket"));
  }
  if (config.tap_fds_size() > 16 ||
      (config.tap_fds_size() > 0 && static_cast<uint32_t>(config.tap_fds_size()) != pairs)) {
    return absl::InvalidArgumentError(absl::StrCat("tap_fds: got ", config.tap_fds_size(),
                                                   ", must be one for each of the queue_pairs"));
  }
  for (const uint32_t fd : config.tap_fds()) {
    if (fd < 3 || fd > INT32_MAX ||
        std::count(config.tap_fds().begin(), config.tap_fds().end(), fd) > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("tap_fds: got ", fd, ", must be different file descriptors from 3 on"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Backend>> OpenBackend(const NetworkInterface& config,
                                                     base::EventLoop* loop) {
  if (config.has_socket()) return StreamSocket::Connect(loop, config.socket());
  if (config.tap_fds_size() > 0) {
    return Tap::Adopt(loop, std::vector<int>(config.tap_fds().begin(), config.tap_fds().end()));
  }
  return Tap::Open(loop, config.host_dev_name(), QueuePairs(config));
}

absl::StatusOr<std::unique_ptr<Device>> CreateDevice(const std::string& path,
                                                     const NetworkInterface& config,
                                                     const DeviceContext& context) {
  NetOptions options = {.path = path,
                        .queue_size = static_cast<uint16_t>(
                            config.has_queue_size() ? config.queue_size() : kDefaultQueueSize),
                        .offloads = !config.has_offloads() || config.offloads(),
                        .rx_limit = ToOptions(config.rx_rate_limiter()),
                        .tx_limit = ToOptions(config.tx_rate_limiter())};
  if (config.has_guest_mac()) options.mac = ParseMac(config.guest_mac());
  if (config.has_mtu()) options.mtu = static_cast<uint16_t>(config.mtu());
  HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, OpenBackend(config, context.loop),
                          path);
  return std::make_unique<NetDevice>(std::move(options), std::move(backend), context);
}

// What the buckets that `patch` names are from now on, for GET.
void UpdateConfig(const RateLimiterConfig& patch, RateLimiterConfig* config) {
  if (patch.has_bandwidth()) *config->mutable_bandwidth() = patch.bandwidth();
  if (patch.has_ops()) *config->mutable_ops() = patch.ops();
}

}  // namespace

void NetworkInterfaces::AddResources(std::vector<std::unique_ptr<Resource>>* resources) {
  resources->push_back(std::make_unique<NetworkInterfacesResource>(this));
}

std::vector<DeviceRequest> NetworkInterfaces::Requests() {
  std::vector<DeviceRequest> requests;
  for (const auto& [id, config] : interfaces_.items()) {
    const std::string path = absl::StrCat("network-interfaces/", id);
    requests.push_back({.path = path,
                        .io_thread = config.io_thread(),
                        .create = [path, config = config](const DeviceContext& context) {
                          return CreateDevice(path, config, context);
                        }});
  }
  return requests;
}

absl::Status NetworkInterfaces::Check(absl::string_view id, const NetworkInterface& config) const {
  HEARTH_RETURN_IF_ERROR(CheckId(id));
  HEARTH_RETURN_IF_ERROR(CheckBackend(config));
  std::optional<MacAddress> mac;
  if (config.has_guest_mac()) {
    mac = ParseMac(config.guest_mac());
    if (!mac.has_value() || !IsUnicast(*mac)) {
      return absl::InvalidArgumentError(
          absl::StrCat("guest_mac: got \"", config.guest_mac(),
                       "\", must be a unicast address such as \"06:00:ac:10:00:02\""));
    }
  }
  if (config.has_queue_size() && !std::has_single_bit(config.queue_size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("queue_size: got ", config.queue_size(), ", must be a power of two"));
  }
  for (const auto& [other_id, other] : interfaces_.items()) {
    if (other_id == id) continue;
    if (mac.has_value() && other.has_guest_mac() && ParseMac(other.guest_mac()) == mac) {
      return absl::InvalidArgumentError(absl::StrCat("guest_mac: ", config.guest_mac(),
                                                     " is the address of ", other_id, " already"));
    }
    if (config.has_host_dev_name() && other.host_dev_name() == config.host_dev_name()) {
      return absl::InvalidArgumentError(absl::StrCat("host_dev_name: ", config.host_dev_name(),
                                                     " is the tap of ", other_id, " already"));
    }
    if (config.has_socket() && other.socket() == config.socket()) {
      return absl::InvalidArgumentError(
          absl::StrCat("socket: ", config.socket(), " is the socket of ", other_id, " already"));
    }
    for (const uint32_t fd : config.tap_fds()) {
      if (std::count(other.tap_fds().begin(), other.tap_fds().end(), fd) > 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("tap_fds: ", fd, " is a queue of ", other_id, " already"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status NetworkInterfaces::Put(absl::string_view id, const NetworkInterface& config) {
  HEARTH_RETURN_IF_ERROR(Check(id, config));
  interfaces_.Put(id, config);
  return absl::OkStatus();
}

absl::StatusOr<const NetworkInterface*> NetworkInterfaces::Get(absl::string_view id) {
  const auto* const item = interfaces_.Find(id);
  if (item == nullptr) {
    return absl::InvalidArgumentError("there is no network interface of this id");
  }
  return &item->config;
}

absl::Status NetworkInterfaces::Patch(absl::string_view id, const PartialNetworkInterface& patch) {
  auto* const item = interfaces_.Find(id);
  if (item == nullptr) {
    return absl::InvalidArgumentError("there is no network interface of this id");
  }
  const size_t index = static_cast<size_t>(item - interfaces_.items().data());
  if (index >= handles_.size() || !handles_[index]) {
    return absl::FailedPreconditionError("the machine has no such network interface");
  }
  HEARTH_RETURN_IF_ERROR(handles_[index].Run([&patch](Device& device) {
    auto& net = static_cast<NetDevice&>(device);
    const base::MonotonicTime now = std::chrono::steady_clock::now();
    if (patch.has_rx_rate_limiter() || patch.has_tx_rate_limiter()) {
      net.UpdateLimits([&patch, now](base::RateLimiter* rx, base::RateLimiter* tx) {
        UpdateRateLimiter(patch.rx_rate_limiter(), now, rx);
        UpdateRateLimiter(patch.tx_rate_limiter(), now, tx);
      });
    }
    if (patch.has_link_up()) net.SetLinkUp(patch.link_up());
    return absl::OkStatus();
  }));
  if (patch.has_rx_rate_limiter()) {
    UpdateConfig(patch.rx_rate_limiter(), item->config.mutable_rx_rate_limiter());
  }
  if (patch.has_tx_rate_limiter()) {
    UpdateConfig(patch.tx_rate_limiter(), item->config.mutable_tx_rate_limiter());
  }
  return absl::OkStatus();
}

absl::Span<const Verb> NetworkInterfacesResource::verbs() const {
  static constexpr Verb kVerbs[] = {
      {Method::kGet, Phase::kAny},
      {Method::kPut, Phase::kBeforeBoot, &kNetworkInterfaceSchema},
      {Method::kPatch, Phase::kAfterBoot, &kPartialNetworkInterfaceSchema,
       json::Presence::kPartial},
  };
  return kVerbs;
}

absl::StatusOr<Reply> NetworkInterfacesResource::Handle(const Call& call) {
  switch (call.method) {
    case Method::kPut: {
      const auto& config = static_cast<const NetworkInterface&>(*call.body);
      // A configuration file has the id in the body alone.
      HEARTH_RETURN_IF_ERROR(
          family_.Put(call.id.empty() ? absl::string_view(config.iface_id()) : call.id, config));
      return Reply{};
    }
    case Method::kPatch:
      HEARTH_RETURN_IF_ERROR(
          family_.Patch(call.id, static_cast<const PartialNetworkInterface&>(*call.body)));
      return Reply{};
    case Method::kGet:
      break;
  }
  HEARTH_ASSIGN_OR_RETURN(const NetworkInterface* config, family_.Get(call.id));
  return Reply{.body = std::make_unique<NetworkInterface>(*config),
               .schema = &kNetworkInterfaceSchema};
}

std::vector<Reply> NetworkInterfacesResource::Config() const {
  std::vector<Reply> replies;
  for (const auto& [id, config] : family_.interfaces().items()) {
    replies.push_back(
        {.body = std::make_unique<NetworkInterface>(config), .schema = &kNetworkInterfaceSchema});
  }
  return replies;
}

}  // namespace hearth::virtio::net
