// SPDX-License-Identifier: Apache-2.0
// A hostile driver against the transport and the queues, with the smallest device behind them.
#include "devices/virtio/core/echo_device.h"
#include "devices/virtio/core/ring_fuzzer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::virtio::FuzzDevice(*hearth::virtio::MakeEchoSample(), data, size);
  return 0;
}
