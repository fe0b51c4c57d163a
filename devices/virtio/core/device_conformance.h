// SPDX-License-Identifier: Apache-2.0
// DeviceConformance: what every virtio device has to hold, whatever it is for.
//
// A GoogleTest suite without devices: a test that links it instantiates it with samples, as
// //devices/virtio:conformance_test does with all that are registered. Each sample runs on a loop
// that the test turns, over epoll, and on a thread of its own over io_uring (epoll where that is
// not allowed).
#ifndef HEARTH_DEVICES_VIRTIO_CORE_DEVICE_CONFORMANCE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_DEVICE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio/core/sample.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"

namespace hearth::virtio {

struct ConformanceCase {
  std::string name;
  std::unique_ptr<Sample> (*make)();
  TestLoop::Mode mode;
};

// Both loops for a sample.
std::vector<ConformanceCase> ConformanceCases(absl::string_view name,
                                              std::unique_ptr<Sample> (*make)());

class DeviceConformance : public testing::TestWithParam<ConformanceCase> {
 public:
  static std::string Name(const testing::TestParamInfo<ConformanceCase>& info) {
    return info.param.name;
  }

 protected:
  enum class Shape { kDirect, kIndirect, kOneByteEach };

  DeviceConformance();
  ~DeviceConformance() override;

  // A new device in a new slot; the driver finds it as it left the old one.
  void MakeTransport();
  // Pauses, saves and moves to a new device; what was saved.
  DeviceState Move();
  // One of each of the sample's requests, as far as there is room, kicked but not waited for.
  void SendAll(Shape shape = Shape::kDirect);
  // Until all that was sent has come back, each once.
  void ExpectAllBack();
  // The device does what it is for.
  void ExpectWorks() {
    SendAll();
    ExpectAllBack();
  }
  // Did the driver's initialization get this far? 0 is reset, 5 is running, 6 needs a reset.
  static constexpr int kSteps = 6;
  void AdvanceTo(int step);
  // The queues that have requests.
  std::set<uint16_t> RequestQueues() const;

  // Of features: what is offered.
  static constexpr uint64_t kAll = ~0ull;
  static constexpr uint64_t kMemoryBytes = 16 << 20;
  static constexpr uint16_t kQueueSize = 64;

  const std::unique_ptr<Sample> sample_;
  const std::vector<Sample::Request> requests_;
  TestLoop loop_;
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<MmioTransport> transport_;
  std::unique_ptr<TransportDriver> driver_;
  std::set<std::pair<uint16_t, uint16_t>> outstanding_;  // queue and head
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_DEVICE_CONFORMANCE_H_
