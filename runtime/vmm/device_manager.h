// SPDX-License-Identifier: Apache-2.0
// DeviceManager: the machine's virtio devices, each in a slot of its own: a page of registers, an
// interrupt, and an eventfd a queue.
//
// Knows no kind of device: what to make comes from the modules' families. Main thread, but for the
// transports' registers, which are the vCPUs'.
#ifndef HEARTH_RUNTIME_VMM_DEVICE_MANAGER_H_
#define HEARTH_RUNTIME_VMM_DEVICE_MANAGER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/bus/bus.h"
#include "devices/virtio/core/device_module.h"
#include "devices/virtio/core/mmio_transport.h"
#include "runtime/boot/guest_loader.h"
#include "runtime/hypervisor/vm_fd.h"
#include "runtime/vmm/io_threads.h"

namespace hearth {

// Slots of 4 KiB from here on, behind the boot timer's page.
inline constexpr uint64_t kFirstDeviceSlot = 0xd0001000;
// What the kernel's command line has room for.
inline constexpr size_t kMaxDevices = 48;

// The slots of `count` devices. A slot's interrupt is one of those that no platform device has and
// no guest probes; the 17th device shares with the first, and so on, as edge-triggered lines may.
std::vector<MmioDeviceNode> DeviceSlots(size_t count);

// " virtio_mmio.device=4K@0xd0001000:5 ..." for kernels without ACPI.
std::string DeviceArguments(const std::vector<MmioDeviceNode>& slots);

class DeviceManager {
 public:
  // Makes the devices; errors begin with the path of the device. `memory` and `threads` outlive
  // this.
  static absl::StatusOr<std::unique_ptr<DeviceManager>> Create(
      std::vector<virtio::DeviceRequest> requests, GuestMemory* memory, IoThreads* threads);
  // Takes what is in flight back first; vCPUs have ended.
  ~DeviceManager();
  DeviceManager(const DeviceManager&) = delete;
  DeviceManager& operator=(const DeviceManager&) = delete;

  absl::Status AddTo(Bus::Builder& mmio);
  // Binds interrupts and queue notifications.
  absl::Status Connect(VmFd& vm);

  // In the order of the requests.
  std::vector<virtio::DeviceHandle> Handles();
  size_t size() const { return slots_.size(); }

  // vCPUs are paused. After Pause() nothing is in flight and no device touches memory.
  void Pause();
  void Resume();
  // Paused. One state a device.
  std::vector<virtio::DeviceState> Save();
  // Into devices that no guest has touched, made from the same requests; names the device at fault.
  absl::Status Restore(const std::vector<virtio::DeviceState>& states);

 private:
  struct Slot {
    MmioDeviceNode node;
    base::EventLoop* loop;
    std::unique_ptr<virtio::MmioTransport> transport;
  };

  DeviceManager() = default;
  std::vector<Slot> slots_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_DEVICE_MANAGER_H_
