// SPDX-License-Identifier: Apache-2.0
// The conformance suite over every device of devices.bzl.
#include "devices/virtio/core/device_conformance.h"
#include "devices/virtio/device_table.h"
#include "devices/virtio/device_table_samples.h"

namespace hearth::virtio {
namespace {

std::vector<ConformanceCase> AllCases() {
  std::vector<ConformanceCase> cases;
  for (const NamedSample& sample : DeviceSamples()) {
    for (ConformanceCase& one : ConformanceCases(sample.name, sample.make)) {
      cases.push_back(std::move(one));
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Registered, DeviceConformance, testing::ValuesIn(AllCases()),
                         &DeviceConformance::Name);

TEST(DeviceTable, ModulesAndSamplesAgree) {
  ASSERT_EQ(DeviceModules().size(), DeviceSamples().size());
  for (size_t i = 0; i < DeviceModules().size(); ++i) {
    const DeviceModule& module = *DeviceModules()[i];
    EXPECT_EQ(module.name, DeviceSamples()[i].name);
    const auto memory = *GuestMemory::Create({.size_bytes = 1 << 20});
    TestLoop loop(TestLoop::Mode::kInline);
    const auto sample = DeviceSamples()[i].make();
    EXPECT_EQ(sample->Create(loop.Context(memory.get()))->virtio_id(), module.virtio_id);
    for (size_t other = 0; other < i; ++other) {
      EXPECT_NE(DeviceModules()[other]->virtio_id, module.virtio_id);
    }
  }
}

TEST(DeviceTable, SystemCallsHaveReasons) {
  for (const DeviceModule* module : DeviceModules()) {
    for (const SystemCall& call : module->system_calls) {
      EXPECT_FALSE(call.name.empty()) << module->name;
      EXPECT_FALSE(call.reason.empty()) << module->name << ": " << call.name;
    }
  }
}

}  // namespace
}  // namespace hearth::virtio
