// SPDX-License-Identifier: Apache-2.0
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_SAMPLE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_SAMPLE_H_

#include <memory>

#include "devices/virtio/core/sample.h"

namespace hearth::virtio::block {

// A drive of 1 MiB in memory with two queues; over the loop's ring where it has one.
std::unique_ptr<Sample> MakeSample();

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_SAMPLE_H_
