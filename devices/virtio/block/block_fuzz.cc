// SPDX-License-Identifier: Apache-2.0
// A hostile driver against a drive in memory.
#include "devices/virtio/block/sample.h"
#include "devices/virtio/core/ring_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::virtio::FuzzDevice(*hearth::virtio::block::MakeSample(), data, size);
  return 0;
}
