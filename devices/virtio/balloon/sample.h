// SPDX-License-Identifier: Apache-2.0
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_SAMPLE_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_SAMPLE_H_

#include <memory>

#include "devices/virtio/core/sample.h"

namespace hearth::virtio::balloon {

// A balloon with everything that it can do.
std::unique_ptr<Sample> MakeSample();

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_SAMPLE_H_
