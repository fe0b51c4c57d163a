// SPDX-License-Identifier: Apache-2.0
// Sample: a device on backends that need nothing of the host, for the conformance suite and
// fuzzers.
//
// Each device folder defines `std::unique_ptr<Sample> hearth::virtio::NAME::MakeSample()` in
// sample.h. The sample owns what the device uses (a temporary file, a socket pair, ...).
#ifndef HEARTH_DEVICES_VIRTIO_CORE_SAMPLE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_SAMPLE_H_

#include <memory>

#include "devices/virtio/core/device.h"

namespace hearth::virtio {

class Sample {
 public:
  virtual ~Sample() = default;
  virtual std::unique_ptr<Device> Create(const DeviceContext& context) = 0;
  // Something comes from outside, if the device has an outside (a packet for net).
  virtual void Stir() {}
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_SAMPLE_H_
