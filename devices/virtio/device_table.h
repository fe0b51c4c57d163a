// SPDX-License-Identifier: Apache-2.0
// The virtio devices of this build, from devices.bzl, in the order in which a guest finds them.
#ifndef HEARTH_DEVICES_VIRTIO_DEVICE_TABLE_H_
#define HEARTH_DEVICES_VIRTIO_DEVICE_TABLE_H_

#include "absl/types/span.h"
#include "devices/virtio/core/device_module.h"

namespace hearth::virtio {

absl::Span<const DeviceModule* const> DeviceModules();

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_DEVICE_TABLE_H_
