// SPDX-License-Identifier: Apache-2.0
// /network-interfaces/{iface_id}: the network devices as the API sees them. Main thread.
#ifndef HEARTH_DEVICES_VIRTIO_NET_NETWORK_INTERFACES_H_
#define HEARTH_DEVICES_VIRTIO_NET_NETWORK_INTERFACES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/virtio/core/config_list.h"
#include "devices/virtio/core/device_module.h"
#include "devices/virtio/net/network_interface.json.h"
#include "runtime/control/resource.h"

namespace hearth::virtio::net {

class NetworkInterfaces final : public DeviceFamily {
 public:
  void AddResources(std::vector<std::unique_ptr<Resource>>* resources) override;
  std::vector<DeviceRequest> Requests() override;
  void Attach(std::vector<DeviceHandle> handles) override { handles_ = std::move(handles); }

  // Errors name the field. `id` is the path's.
  absl::Status Put(absl::string_view id, const NetworkInterface& config);
  absl::Status Patch(absl::string_view id, const PartialNetworkInterface& patch);
  absl::StatusOr<const NetworkInterface*> Get(absl::string_view id);
  const ConfigList<NetworkInterface>& interfaces() const { return interfaces_; }

 private:
  // The rules between fields, and between this interface and the others.
  absl::Status Check(absl::string_view id, const NetworkInterface& config) const;

  ConfigList<NetworkInterface> interfaces_;
  std::vector<DeviceHandle> handles_;  // in the order of interfaces_
};

class NetworkInterfacesResource final : public Resource {
 public:
  // `*family` outlives the resource.
  explicit NetworkInterfacesResource(NetworkInterfaces* family) : family_(*family) {}

  absl::string_view path() const override { return "/network-interfaces/{iface_id}"; }
  absl::string_view config_key() const override { return "network-interfaces"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  NetworkInterfaces& family_;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_NETWORK_INTERFACES_H_
