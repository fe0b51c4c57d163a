// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/sample.h"

#include <cstring>

#include "devices/virtio/balloon/balloon_device.h"

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
    return std::make_unique<BalloonDevice>(context,
                                           BalloonDevice::Options{.target_pages = 16,
                                                                  .deflate_on_oom = true,
                                                                  .stats_polling_interval_s = 1,
                                                                  .free_page_hinting = true,
                                                                  .free_page_reporting = true});
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
};

}  // namespace

std::unique_ptr<Sample> MakeSample() { return std::make_unique<BalloonSample>(); }

}  // namespace hearth::virtio::balloon
