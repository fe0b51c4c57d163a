// SPDX-License-Identifier: Apache-2.0
// Device: what a virtio device is to its transport.
//
//   Created -> Configured -> Active <-> Paused
//                            Active -> NeedsReset        any -> Configured by reset
//
// A device is created on the main thread, before the guest runs. From its first Activate() on,
// every method below "Device thread" is called on the thread of its event loop; that loop must not
// wait for anything but its events. The device registers with the loop what it watches when it is
// activated and takes it back when it is deactivated: a device that is not active costs nothing. It
// is destroyed on the main thread, inactive, when the turn that deactivated it has ended.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_DEVICE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_DEVICE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "devices/virtio/core/config_space.h"
#include "devices/virtio/core/queue.h"
#include "runtime/memory/guest_memory.h"

namespace hearth::virtio {

// "Reserved Feature Bits"; the transport offers these for every device.
inline constexpr uint64_t kFeatureIndirectDesc = 1ull << 28;
inline constexpr uint64_t kFeatureEventIdx = 1ull << 29;
inline constexpr uint64_t kFeatureVersion1 = 1ull << 32;
inline constexpr uint64_t kTransportFeatures =
    kFeatureIndirectDesc | kFeatureEventIdx | kFeatureVersion1;

// What a device is given to live on; all of it outlives the device.
struct DeviceContext {
  GuestMemory* memory;
  // Of the io thread that runs the device.
  base::EventLoop* loop;
  // For tests and fuzzers on one thread: nobody runs the loop, so who waits for the device turns
  // it.
  bool inline_loop = false;
};

// What an active device may ask of its transport; device thread.
class DeviceHost {
 public:
  virtual ~DeviceHost() = default;
  // The guest broke the rules; `why` goes to the log (limited) and a metric. The driver is told by
  // DEVICE_NEEDS_RESET and an interrupt. OnNotify() is not called again until a reset.
  virtual void NeedsReset(absl::string_view why) = 0;
  // Interrupts the driver because the configuration space changed.
  virtual void ConfigChanged() = 0;
};

struct Activation {
  Queues queues;
  uint64_t features;  // negotiated, the transport's included
  DeviceHost* host;   // valid until the device is deactivated
};

class Device {
 public:
  virtual ~Device() = default;

  // --- Constant; any thread.
  // "Device Types": 1 net, 2 block, 5 balloon.
  virtual uint32_t virtio_id() const = 0;
  // Offered, without the transport's.
  virtual uint64_t features() const = 0;
  // The greatest size of each virtqueue; as many as the device can have at most.
  virtual absl::Span<const uint16_t> queue_sizes() const = 0;
  // Has its own lock.
  virtual ConfigSpace& config_space() = 0;
  // May the driver have exactly these? They are a subset of what was offered. For bits that depend
  // on each other ("Feature bit requirements" of the device).
  virtual absl::Status CheckFeatures(uint64_t /*features*/) const { return absl::OkStatus(); }

  // --- Device thread.
  // Takes the queues and works from now on. They may hold requests already for which no
  // notification comes: after a resume, and when the driver was fast.
  virtual void Activate(Activation activation) = 0;
  // The driver has put requests in a queue. May come without a reason.
  virtual void OnNotify(uint16_t queue) = 0;
  // The driver wrote to the configuration space.
  virtual void OnConfigWrite() {}
  // Takes no more requests, finishes those in flight (or gives them back with Unpop()), publishes,
  // and then calls `done` with the queues: at once, or from a later event. After this the device is
  // paused or will be reset.
  virtual void Deactivate(absl::AnyInvocable<void(Queues)> done) = 0;
  // Forgets what a driver has made of it, as after creation. What the API has set stays. Not while
  // active.
  virtual void Reset() = 0;

  // --- Device thread, paused (or not yet active, for Restore()).
  // The device's own state, a serialized proto; queues, features and configuration space are the
  // transport's.
  virtual std::string Save() = 0;
  // `state` is hostile: refused with the reason, and the device is as before. The configuration
  // space already holds what the guest saw; the device stores what is no longer so (a disk that has
  // grown), and takes nothing in there for true that it can know better.
  virtual absl::Status Restore(absl::string_view state) = 0;

  // --- Any thread.
  virtual void VisitMetrics(base::MetricVisitor visitor) const = 0;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_DEVICE_H_
