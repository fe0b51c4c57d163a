// SPDX-License-Identifier: Apache-2.0
// The virtio block device, for devices/virtio/devices.bzl.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_MODULE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_MODULE_H_

#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::block {

extern const DeviceModule kModule;

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_MODULE_H_
