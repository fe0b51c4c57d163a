// SPDX-License-Identifier: Apache-2.0
// What the network device's tests share: a machine with one interface over a fake network, and its
// driver. The loop is turned by the test.
#ifndef HEARTH_DEVICES_VIRTIO_NET_NET_TEST_BASE_H_
#define HEARTH_DEVICES_VIRTIO_NET_NET_TEST_BASE_H_

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "devices/virtio/core/mmio_transport.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"
#include "devices/virtio/net/backend_fake.h"
#include "devices/virtio/net/net_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hearth::virtio::net {

inline constexpr MacAddress kGuestMac = {0x06, 0, 0, 0, 0, 1};

// A frame from `source` to everybody, of `size` bytes.
inline std::string Frame(size_t size, char fill = 'x', const MacAddress& source = kGuestMac) {
  std::string frame(6, '\xff');
  frame.append(source.begin(), source.end());
  frame.resize(size, fill);
  return frame;
}
inline std::string Packet(const std::string& frame) {
  return std::string(kHeaderBytes, '\0') + frame;
}

class TestInterface {
 public:
  explicit TestInterface(NetOptions options = {.path = "network-interfaces/eth0", .mac = kGuestMac},
                         size_t pairs = 1, uint64_t offloads = 0)
      : loop_(TestLoop::Mode::kInline), memory_(*GuestMemory::Create({.size_bytes = 16 << 20})) {
    auto backend = std::make_unique<BackendFake>(pairs, offloads);
    backend_ = backend.get();
    Make(std::move(options), std::move(backend));
  }
  // Over another backend, made from the loop.
  using MakeBackend = absl::FunctionRef<std::unique_ptr<Backend>(base::EventLoop*)>;
  TestInterface(NetOptions options, MakeBackend make)
      : loop_(TestLoop::Mode::kInline), memory_(*GuestMemory::Create({.size_bytes = 16 << 20})) {
    Make(std::move(options), make(loop_.loop()));
  }
  ~TestInterface() { transport_->Shutdown(); }

  TestLoop& loop() { return loop_; }
  NetDevice& device() { return *device_; }
  MmioTransport& transport() { return *transport_; }
  TransportDriver& driver() { return *driver_; }
  BackendFake& backend() { return *backend_; }
  PortFake& port(size_t pair = 0) { return *backend_->ports[pair]; }

  // For a guest that goes on here.
  void CopyMemoryFrom(const TestInterface& other) {
    const GuestMemory::Region& from = other.memory_->regions()[0];
    HEARTH_CHECK(
        memory_->Write("all", from.start, {static_cast<const char*>(from.hva), from.size_bytes})
            .ok());
  }

  // --- The driver's side.
  [[nodiscard]] bool Start(uint64_t wanted = ~0ull, uint16_t queue_size = 16) {
    buffers_.clear();
    if (!driver_->Start(wanted, queue_size)) return false;
    loop_.Settle();
    return true;
  }
  // Posts `count` receive buffers of `size` bytes, each in one piece.
  void PostBuffers(int count, uint32_t size, uint16_t pair = 0) {
    for (int i = 0; i < count; ++i) {
      const auto request = driver_->Add(2 * pair, "", size);
      HEARTH_CHECK(request.has_value());
      buffers_.push_back({pair, request->head, request->writable});
    }
    driver_->Kick(2 * pair);
    loop_.Settle();
  }
  void Send(const std::string& packet, uint16_t pair = 0) {
    HEARTH_CHECK(driver_->Add(2 * pair + 1, packet, 0).has_value());
    driver_->Kick(2 * pair + 1);
    loop_.Settle();
  }
  // The packets that have arrived, each put together from its buffers, with NetHeader.
  std::vector<std::string> Received(uint16_t pair = 0) {
    std::vector<std::string> packets;
    int more = 0;
    while (const auto used = driver_->queue(2 * pair).TakeUsed()) {
      std::string bytes;
      std::erase_if(buffers_, [&](const Buffer& buffer) {
        if (buffer.pair != pair || buffer.head != used->head) return false;
        bytes = driver_->ReadMemory(buffer.place, used->written);
        return true;
      });
      if (more > 0) {
        packets.back() += bytes;
        --more;
        continue;
      }
      uint16_t num_buffers = 0;
      if (bytes.size() >= kHeaderBytes) {
        std::memcpy(&num_buffers, bytes.data() + kNumBuffersOffset, sizeof(num_buffers));
      }
      EXPECT_GE(num_buffers, 1);
      more = num_buffers - 1;
      std::memset(bytes.data() + kNumBuffersOffset, 0, 2);
      packets.push_back(bytes);
    }
    EXPECT_EQ(more, 0) << "num_buffers says more than there were";
    return packets;
  }
  int SentBack(uint16_t pair = 0) {
    int count = 0;
    while (driver_->queue(2 * pair + 1).TakeUsed()) ++count;
    return count;
  }
  // A control command; its acknowledgement.
  int Command(const std::string& command) {
    const auto queue = static_cast<uint16_t>(
        (driver_->features() & kFeatureMq) != 0 ? driver_->queue_count() - 1 : 2);
    const auto request = driver_->Add(queue, command, 1);
    HEARTH_CHECK(request.has_value());
    driver_->Kick(queue);
    loop_.Settle();
    const auto used = driver_->queue(queue).TakeUsed();
    if (!used.has_value() || used->head != request->head || used->written != 1) return -1;
    return static_cast<uint8_t>(driver_->ReadMemory(request->writable, 1)[0]);
  }
  uint16_t Status() { return device_->config_space().Load<uint16_t>(kConfigStatus); }
  bool NeedsReset() { return (driver_->status() & kDeviceNeedsReset) != 0; }
  uint64_t Metric(absl::string_view wanted) {
    uint64_t found = ~uint64_t{0};
    device_->VisitMetrics([&](absl::string_view name, uint64_t value) {
      if (name == wanted) found = value;
    });
    return found;
  }

 private:
  struct Buffer {
    uint16_t pair;
    uint16_t head;
    GuestAddress place;
  };
  void Make(NetOptions options, std::unique_ptr<Backend> backend) {
    const DeviceContext context = loop_.Context(memory_.get());
    auto device = std::make_unique<NetDevice>(std::move(options), std::move(backend), context);
    device_ = device.get();
    auto transport = MmioTransport::Create("network-interfaces/eth0", std::move(device), context);
    HEARTH_CHECK(transport.ok());
    transport_ = *std::move(transport);
    driver_ =
        std::make_unique<TransportDriver>(transport_.get(), memory_.get(), GuestAddress(0x10000));
  }

  TestLoop loop_;
  const std::unique_ptr<GuestMemory> memory_;
  BackendFake* backend_ = nullptr;
  NetDevice* device_ = nullptr;
  std::unique_ptr<MmioTransport> transport_;
  std::unique_ptr<TransportDriver> driver_;
  std::vector<Buffer> buffers_;
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_NET_TEST_BASE_H_
