// SPDX-License-Identifier: Apache-2.0
// EchoDevice: the smallest whole device, for tests of the core: it copies what a request says into
// its writable buffers. Queue 0 answers at once, queue 1 from a later turn, so that requests are in
// flight when the world stops.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_ECHO_DEVICE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_ECHO_DEVICE_H_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "devices/virtio/core/device.h"
#include "devices/virtio/core/sample.h"

namespace hearth::virtio {

class EchoDevice final : public Device {
 public:
  static constexpr uint32_t kVirtioId = 42;
  // Bit 1 wants bit 0.
  static constexpr uint64_t kFeatureA = 1, kFeatureB = 2;
  // Configuration space: the device's number, then one that the driver may write, which comes back
  // increased by 1 in the third.
  static constexpr uint32_t kNumber = 0, kDriverNumber = 4, kAnswer = 8, kConfigBytes = 12;
  // A request whose readable part begins so is the guest's fault.
  static constexpr char kPoison[] = "poison";

  explicit EchoDevice(const DeviceContext& context);

  uint32_t virtio_id() const override { return kVirtioId; }
  uint64_t features() const override { return kFeatureA | kFeatureB; }
  absl::Span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
  ConfigSpace& config_space() override { return config_; }
  absl::Status CheckFeatures(uint64_t features) const override;
  void Activate(Activation activation) override;
  void OnNotify(uint16_t queue) override;
  void OnConfigWrite() override;
  void Deactivate(absl::AnyInvocable<void(Queues)> done) override;
  void Reset() override;
  std::string Save() override;
  absl::Status Restore(absl::string_view state) override;
  void VisitMetrics(base::MetricVisitor visitor) const override;

  bool active() const { return host_ != nullptr; }

 private:
  static constexpr uint16_t kQueueSizes[] = {64, 256};
  static constexpr size_t kQueues = 2;

  // True if there was something.
  bool Take(Queue& queue);
  void Answer(Queue& queue, DescriptorChain& chain);
  void AnswerLater();

  base::EventLoop* const loop_;
  base::TurnTask later_;
  ConfigSpace config_;
  Queues queues_;
  DeviceHost* host_ = nullptr;
  bool broken_ = false;
  std::deque<DescriptorChain> waiting_;  // of queue 1
  base::Counter requests_;
  uint32_t echoed_ = 0;  // its state
};

std::unique_ptr<Sample> MakeEchoSample();

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_ECHO_DEVICE_H_
