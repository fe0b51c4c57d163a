// SPDX-License-Identifier: Apache-2.0
// Sample: a device on backends that need nothing of the host, for the conformance suite and
// fuzzers.
//
// Each device folder defines `std::unique_ptr<Sample> hearth::virtio::NAME::MakeSample()` in
// sample.h. The sample owns what the device uses (a temporary file, a socket pair, ...).
#ifndef HEARTH_DEVICES_VIRTIO_CORE_SAMPLE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_SAMPLE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/core/device.h"

namespace hearth::virtio {

class Sample {
 public:
  virtual ~Sample() = default;
  // May be called again when the device before is gone; the backends are then as that one left
  // them.
  virtual std::unique_ptr<Device> Create(const DeviceContext& context) = 0;
  // Something comes from outside, if the device has an outside (a packet for net).
  virtual void Stir() {}

  // A request as a good driver makes it, which the device completes by itself (without Stir()).
  struct Request {
    uint16_t queue = 0;
    std::string readable;         // the bytes of the device-readable buffers
    uint32_t writable_bytes = 0;  // the size of the device-writable ones
  };
  // One of each kind. The suite sends them through pauses and snapshots and wants each back once;
  // fuzzers begin with them.
  virtual std::vector<Request> Requests() const { return {}; }
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_SAMPLE_H_
