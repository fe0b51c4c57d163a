// SPDX-License-Identifier: Apache-2.0
// FuzzDevice: a hostile driver, led by a fuzzer's bytes, for any virtio device.
//
// It knows the rings: it builds chains that a good driver could have built (from the sample's
// requests), bends them, corrupts descriptors, tables, indices and registers, kicks, lets the
// device run, pauses, resumes, resets, saves, and restores what it saved, as it was or bent.
// Everything happens on the calling thread (DeviceContext::inline_loop, over epoll), so a run
// depends on its bytes only. A device's fuzz target:
//
//   extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
//     hearth::virtio::FuzzDevice(*hearth::virtio::block::MakeSample(), data, size);
//     return 0;
//   }
#ifndef HEARTH_DEVICES_VIRTIO_CORE_RING_FUZZER_H_
#define HEARTH_DEVICES_VIRTIO_CORE_RING_FUZZER_H_

#include <cstddef>
#include <cstdint>

#include "devices/virtio/core/sample.h"

namespace hearth::virtio {

void FuzzDevice(Sample& sample, const uint8_t* data, size_t size);

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_RING_FUZZER_H_
