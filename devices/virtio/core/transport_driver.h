// SPDX-License-Identifier: Apache-2.0
// TransportDriver: the guest's side of a virtio-mmio device for tests: probes, negotiates, sets up
// queues and takes interrupts as a good driver does ("Device Initialization"). For bad ones there
// are Read() and Write(). Lays rings and buffers out from `base` on, and never takes memory back.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_TRANSPORT_DRIVER_H_
#define HEARTH_DEVICES_VIRTIO_CORE_TRANSPORT_DRIVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio/core/mmio_registers.h"
#include "devices/virtio/core/mmio_transport.h"
#include "devices/virtio/core/queue_fake.h"

namespace hearth::virtio {

class TransportDriver {
 public:
  TransportDriver(MmioTransport* transport, GuestMemory* memory, GuestAddress base);
  // The guest goes on with another transport: after a restore.
  void Attach(MmioTransport* transport) { transport_ = transport; }

  // --- Registers.
  uint32_t Read(uint64_t offset) const;
  void Write(uint64_t offset, uint32_t value);
  uint32_t status() const { return Read(kStatus); }
  uint64_t OfferedFeatures();
  size_t queue_count() const { return transport_->queue_count(); }

  // --- Initialization, in this order; Start() is all of it.
  // Resets, then up to FEATURES_OK with those of `wanted` that are offered. False where refused.
  [[nodiscard]] bool Negotiate(uint64_t wanted = ~0ull);
  // Makes a fake for each queue, of `size` or the device's maximum if that is less.
  void SetUpQueues(uint16_t size);
  void SetUpQueue(uint16_t index, const QueueConfig& config);
  // False if the device needs a reset then.
  [[nodiscard]] bool SetDriverOk();
  [[nodiscard]] bool Start(uint64_t wanted = ~0ull, uint16_t size = 16);
  void Reset() { Write(kStatus, 0); }
  uint64_t features() const { return features_; }

  // --- Running.
  // Did it get as far as SetUpQueues()?
  bool has_queues() const { return !queues_.empty(); }
  QueueFake& queue(size_t index) { return *queues_[index]; }
  // Makes what was added visible, and notifies if the device wants that.
  void Kick(uint16_t index);
  // A request of one readable and one writable buffer (either may be empty), not yet kicked.
  struct Request {
    uint16_t head;
    GuestAddress readable;
    GuestAddress writable;
  };
  std::optional<Request> Add(uint16_t index, absl::string_view readable, uint32_t writable_bytes);
  // What the interrupt handler finds: InterruptStatus, acknowledged; 0 if the line was not raised.
  uint32_t TakeInterrupt();

  // --- Memory.
  GuestAddress Allocate(uint64_t size, uint64_t alignment = 16);
  GuestAddress AllocateAndWrite(absl::string_view bytes);
  std::string ReadMemory(GuestAddress at, uint64_t size) const;

 private:
  MmioTransport* transport_;
  GuestMemory* const memory_;
  GuestAddress next_;
  uint64_t features_ = 0;
  std::vector<std::unique_ptr<QueueFake>> queues_;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_TRANSPORT_DRIVER_H_
