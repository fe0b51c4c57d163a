// SPDX-License-Identifier: Apache-2.0
// The suite over the smallest device: is the suite itself right?
#include "devices/virtio/core/device_conformance.h"
#include "devices/virtio/core/echo_device.h"

namespace hearth::virtio {
namespace {

INSTANTIATE_TEST_SUITE_P(Core, DeviceConformance,
                         testing::ValuesIn(ConformanceCases("Echo", &MakeEchoSample)),
                         &DeviceConformance::Name);

}  // namespace
}  // namespace hearth::virtio
