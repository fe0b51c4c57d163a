// SPDX-License-Identifier: Apache-2.0
// The virtio network device as a module.
#ifndef HEARTH_DEVICES_VIRTIO_NET_MODULE_H_
#define HEARTH_DEVICES_VIRTIO_NET_MODULE_H_

#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::net {

extern const DeviceModule kModule;

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_MODULE_H_
