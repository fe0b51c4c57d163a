// SPDX-License-Identifier: Apache-2.0
// A hostile driver of the network device.
#include "devices/virtio/core/ring_fuzzer.h"
#include "devices/virtio/net/sample.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::virtio::FuzzDevice(*hearth::virtio::net::MakeSample(), data, size);
  return 0;
}
