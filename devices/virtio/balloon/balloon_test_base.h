// SPDX-License-Identifier: Apache-2.0
// What the tests of the balloon share: the device in its transport, with a driver, on one thread.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_TEST_BASE_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_TEST_BASE_H_

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/balloon/balloon_device.h"
#include "devices/virtio/core/mmio_transport.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"
#include "gtest/gtest.h"

namespace hearth::virtio::balloon {

inline constexpr uint64_t kMib = 1 << 20;
inline constexpr BalloonDevice::Options kAll = {.target_pages = 0,
                                                .deflate_on_oom = true,
                                                .stats_polling_interval_s = 3600,
                                                .free_page_hinting = true,
                                                .free_page_reporting = true};
// With everything negotiated.
enum AllQueues : uint16_t { kInflateQ, kDeflateQ, kStatsQ, kHintQ, kReportQ };

inline std::string Bytes(const std::vector<uint32_t>& numbers) {
  std::string bytes(numbers.size() * sizeof(uint32_t), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

inline std::string Statistic(uint16_t tag, uint64_t value) {
  std::string bytes(10, '\0');
  std::memcpy(bytes.data(), &tag, 2);
  std::memcpy(bytes.data() + 2, &value, 8);
  return bytes;
}

// A balloon in its transport, over 16 MiB; the driver has its rings and buffers at 64 KiB, and the
// tests their pages from 2 MiB on.
class BalloonTest : public testing::Test {
 protected:
  static constexpr uint64_t kMemory = 16 * kMib;

  void Create(const BalloonDevice::Options& options, GuestMemory::Options memory = {}) {
    if (memory.size_bytes == 0) memory.size_bytes = kMemory;
    auto created = GuestMemory::Create(memory);
    ASSERT_TRUE(created.ok()) << created.status();
    memory_ = *std::move(created);
    transport_ = MakeTransport(options);
    driver_.emplace(transport_.get(), memory_.get(), GuestAddress(0x10000));
  }
  ~BalloonTest() override {
    if (transport_) transport_->Shutdown();
  }

  std::unique_ptr<MmioTransport> MakeTransport(const BalloonDevice::Options& options) {
    const DeviceContext context = loop_.Context(memory_.get());
    auto transport = MmioTransport::Create(
        "balloon", std::make_unique<BalloonDevice>(context, options), context);
    EXPECT_TRUE(transport.ok()) << transport.status();
    return *std::move(transport);
  }
  BalloonDevice& device() { return static_cast<BalloonDevice&>(transport_->device()); }
  void Start(uint64_t wanted = ~0ull) {
    ASSERT_TRUE(driver_->Start(wanted));
    loop_.Settle();
  }
  // As after a snapshot: the same guest goes on with a new device.
  absl::Status MoveTo(const BalloonDevice::Options& options, const DeviceState& state) {
    transport_->Shutdown();
    transport_ = MakeTransport(options);
    driver_->Attach(transport_.get());
    return transport_->Restore(state);
  }

  void Fill(uint64_t start, uint64_t size) {
    ASSERT_TRUE(memory_->Slice(GuestAddress(start), size)->Fill(0, 0xaa, size));
  }
  bool IsFull(uint64_t start, uint64_t size, uint8_t value) {
    const std::string bytes = driver_->ReadMemory(GuestAddress(start), size);
    return bytes == std::string(size, static_cast<char>(value));
  }
  uint64_t ResidentPages(uint64_t start, uint64_t size) {
    std::vector<unsigned char> pages(size / kPageSize);
    const iovec vector = memory_->Slice(GuestAddress(start), size)->AsIovec();
    EXPECT_EQ(mincore(vector.iov_base, size, pages.data()), 0);
    return static_cast<uint64_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
  }

  // Adds one request and lets the device see it.
  void Add(uint16_t queue, absl::string_view readable, uint32_t writable_bytes = 0) {
    ASSERT_TRUE(driver_->Add(queue, readable, writable_bytes).has_value());
    driver_->Kick(queue);
    loop_.Settle();
  }
  void AddPages(uint16_t queue, GuestAddress at, uint32_t size) {
    ASSERT_TRUE(driver_->queue(queue).Add({{at, size, true}}).has_value());
    driver_->Kick(queue);
    loop_.Settle();
  }
  // How many requests came back since the last call.
  int Completed(uint16_t queue) {
    int count = 0;
    while (const auto used = driver_->queue(queue).TakeUsed()) {
      EXPECT_EQ(used->written, 0u);
      ++count;
    }
    return count;
  }
  uint32_t Config(uint32_t offset) { return driver_->Read(kConfig + offset); }
  uint64_t Metric(absl::string_view name) {
    uint64_t found = ~0ull;
    device().VisitMetrics([&](absl::string_view metric, uint64_t value) {
      if (metric == name) found = value;
    });
    return found;
  }

  TestLoop loop_{TestLoop::Mode::kInline};
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<MmioTransport> transport_;
  std::optional<TransportDriver> driver_;
};

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_BALLOON_TEST_BASE_H_
