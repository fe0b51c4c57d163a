// SPDX-License-Identifier: Apache-2.0
// The virtio balloon, for devices/virtio/devices.bzl.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_MODULE_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_MODULE_H_

#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::balloon {

extern const DeviceModule kModule;

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_MODULE_H_
