// SPDX-License-Identifier: Apache-2.0
// For tests of the transport: an EchoDevice in a slot, with its driver.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_TRANSPORT_FIXTURE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_TRANSPORT_FIXTURE_H_

#include <memory>
#include <string>

#include "devices/virtio/core/echo_device.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"

namespace hearth::virtio {

struct TransportFixture {
  explicit TransportFixture(TestLoop::Mode mode = TestLoop::Mode::kInline) : loop(mode) {
    memory = *GuestMemory::Create({.size_bytes = 4 << 20});
    transport = MakeTransport();
    driver =
        std::make_unique<TransportDriver>(transport.get(), memory.get(), GuestAddress(0x10000));
  }
  ~TransportFixture() {
    if (transport != nullptr) transport->Shutdown();
  }

  std::unique_ptr<MmioTransport> MakeTransport() {
    const DeviceContext context = loop.Context(memory.get());
    return *MmioTransport::Create("echo/0", std::make_unique<EchoDevice>(context), context);
  }
  EchoDevice& device() { return static_cast<EchoDevice&>(transport->device()); }

  // Sends `text` through a queue and returns what comes back; "" if nothing does.
  std::string Echo(uint16_t queue, const std::string& text) {
    const auto request = driver->Add(queue, text, static_cast<uint32_t>(text.size()));
    if (!request.has_value()) return "";
    driver->Kick(queue);
    return AwaitEcho(queue, *request);
  }
  std::string AwaitEcho(uint16_t queue, const TransportDriver::Request& request) {
    std::optional<QueueFake::Used> used;
    if (!loop.RunUntil([&] { return (used = driver->queue(queue).TakeUsed()).has_value(); })) {
      return "";
    }
    return used->head == request.head ? driver->ReadMemory(request.writable, used->written) : "";
  }

  TestLoop loop;
  std::unique_ptr<GuestMemory> memory;
  std::unique_ptr<MmioTransport> transport;
  std::unique_ptr<TransportDriver> driver;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_TRANSPORT_FIXTURE_H_
