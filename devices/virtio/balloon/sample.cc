// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/sample.h"

#include <cstring>

#include "base/status_macros.h"
#include "devices/virtio/balloon/balloon_device.h"
#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::balloon {
namespace {

std::string Numbers(std::initializer_list<uint32_t> numbers) {
  std::string bytes(numbers.size() * sizeof(uint32_t), '\0');
  std::memcpy(bytes.data(), std::data(numbers), bytes.size());
  return bytes;
}

class BalloonSample final : public Sample {
 public:
  std::unique_ptr<Device> Create(const DeviceContext& context) override {
    auto device = std::make_unique<BalloonDevice>(context, BalloonDevice::Options{
                                                               .target_pages = 16,
                                                               .deflate_on_oom = true,
                                                               .stats_polling_interval_s = 1,
                                                               .free_page_hinting = true,
                                                               .free_page_reporting = true,
                                                           });
    device_ = DeviceHandle(device.get(), context.loop, context.inline_loop);
    return device;
  }
  // The API's nouns are what comes from outside, in turn.
  void Stir() override {
    const absl::Status status = device_.Run([this](Device& device) {
      auto& balloon = static_cast<BalloonDevice&>(device);
      switch (++stirs_ % 5) {
        case 0:
          return balloon.StopHinting();
        case 1:
          return balloon.SetStatsPollingInterval(1 + stirs_ % 2);
        case 2:
          return balloon.SetTarget(stirs_ % 3);
        case 3:
          return balloon.Statistics().status();
        default:
          return balloon.StartHinting(stirs_ % 2 == 0);
      }
    });
    // A driver that is not there cannot be asked for hints.
    HEARTH_CHECK(status.ok() || absl::IsFailedPrecondition(status) ||
                 absl::IsInvalidArgument(status));
  }
  // Buffers of statistics are missing: the device keeps them. Page 0 is nobody's in the tests.
  std::vector<Request> Requests() const override {
    return {
        {.queue = 0, .readable = Numbers({0, 0xffffffff})},
        {.queue = 1, .readable = Numbers({0})},
        {.queue = 3, .readable = Numbers({Hinting::kStop})},
        {.queue = 3, .writable_bytes = 4096},
        {.queue = 4, .writable_bytes = 4096},
    };
  }

 private:
  DeviceHandle device_;
  uint32_t stirs_ = 0;
};

}  // namespace

std::unique_ptr<Sample> MakeSample() { return std::make_unique<BalloonSample>(); }

}  // namespace hearth::virtio::balloon
