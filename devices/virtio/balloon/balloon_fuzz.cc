// SPDX-License-Identifier: Apache-2.0
// A hostile driver against the balloon.
#include "devices/virtio/balloon/sample.h"
#include "devices/virtio/core/ring_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::virtio::FuzzDevice(*hearth::virtio::balloon::MakeSample(), data, size);
  return 0;
}
