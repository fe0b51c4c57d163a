// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/module.h"

#include "devices/virtio/net/network_interfaces.h"
#include "devices/virtio/net/virtio_net.h"

namespace hearth::virtio::net {
namespace {

constexpr SystemCall kSystemCalls[] = {
    {"readv", "takes packets from the tap"},
    {"writev", "gives packets to the tap"},
    {"ioctl", "TUNSETOFFLOAD, TUNSETQUEUE and TUNSETTXFILTER: what the driver negotiates and sets"},
    {"recvfrom", "takes frames from the socket"},
    {"sendto", "gives frames to the socket"},
    {"socket", "connects the socket again when its peer had gone"},
    {"connect", "connects the socket again when its peer had gone"},
    {"close", "ends a connection whose peer has gone"},
};

std::unique_ptr<DeviceFamily> CreateFamily() { return std::make_unique<NetworkInterfaces>(); }

}  // namespace

constinit const DeviceModule kModule = {.name = "net",
                                        .virtio_id = kVirtioId,
                                        .create_family = CreateFamily,
                                        .system_calls = kSystemCalls};

}  // namespace hearth::virtio::net
