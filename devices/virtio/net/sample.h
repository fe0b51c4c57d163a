// SPDX-License-Identifier: Apache-2.0
// A network device over a socket pair whose other end is a network that listens and, now and then,
// says something.
#ifndef HEARTH_DEVICES_VIRTIO_NET_SAMPLE_H_
#define HEARTH_DEVICES_VIRTIO_NET_SAMPLE_H_

#include <memory>

#include "devices/virtio/core/sample.h"

namespace hearth::virtio::net {

std::unique_ptr<Sample> MakeSample();

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_SAMPLE_H_
