// SPDX-License-Identifier: Apache-2.0
// A sample of each virtio device of this build; for the conformance suite.
#ifndef HEARTH_DEVICES_VIRTIO_DEVICE_TABLE_SAMPLES_H_
#define HEARTH_DEVICES_VIRTIO_DEVICE_TABLE_SAMPLES_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/virtio/core/sample.h"

namespace hearth::virtio {

struct NamedSample {
  absl::string_view name;
  std::unique_ptr<Sample> (*make)();
};

absl::Span<const NamedSample> DeviceSamples();

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_DEVICE_TABLE_SAMPLES_H_
