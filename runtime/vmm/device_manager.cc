// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/device_manager.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth {
namespace {

using virtio::MmioTransport;

// Pins of the IOAPIC that are free: not the timer's (0, 2), the platform devices' (1, 4), nor those
// at which PC drivers look for hardware (3, 8, 12, 13).
constexpr uint32_t kDeviceGsis[] = {5, 6, 7, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};

}  // namespace

std::vector<MmioDeviceNode> DeviceSlots(size_t count) {
  std::vector<MmioDeviceNode> slots;
  for (size_t i = 0; i < count; ++i) {
    slots.push_back({.base = kFirstDeviceSlot + i * MmioTransport::kSizeBytes,
                     .size = MmioTransport::kSizeBytes,
                     .gsi = kDeviceGsis[i % std::size(kDeviceGsis)]});
  }
  return slots;
}

std::string DeviceArguments(const std::vector<MmioDeviceNode>& slots) {
  std::string arguments;
  for (const MmioDeviceNode& slot : slots) {
    absl::StrAppend(&arguments, " virtio_mmio.device=", slot.size / 1024, "K@0x",
                    absl::Hex(slot.base), ":", slot.gsi);
  }
  return arguments;
}

absl::StatusOr<std::unique_ptr<DeviceManager>> DeviceManager::Create(
    std::vector<virtio::DeviceRequest> requests, GuestMemory* memory, IoThreads* threads) {
  const std::vector<MmioDeviceNode> nodes = DeviceSlots(requests.size());
  std::unique_ptr<DeviceManager> manager(new DeviceManager);
  for (size_t i = 0; i < requests.size(); ++i) {
    virtio::DeviceRequest& request = requests[i];
    const virtio::DeviceContext context = {.memory = memory,
                                           .loop = threads->loop(request.io_thread)};
    HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<virtio::Device> device, request.create(context));
    HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<MmioTransport> transport,
                            MmioTransport::Create(request.path, std::move(device), context),
                            request.path);
    manager->slots_.push_back({nodes[i], context.loop, std::move(transport)});
  }
  return manager;
}

DeviceManager::~DeviceManager() {
  for (Slot& slot : slots_) slot.transport->Shutdown();
}

absl::Status DeviceManager::AddTo(Bus::Builder& mmio) {
  for (Slot& slot : slots_)
    HEARTH_RETURN_IF_ERROR(mmio.Add(slot.node.base, slot.node.size, slot.transport.get()));
  return absl::OkStatus();
}

absl::Status DeviceManager::Connect(VmFd& vm) {
  for (Slot& slot : slots_) {
    const MmioTransport& transport = *slot.transport;
    HEARTH_RETURN_IF_ERROR(vm.AddIrqfd(transport.irq_line().fd(), slot.node.gsi), transport.name());
    for (size_t queue = 0; queue < transport.queue_count(); ++queue) {
      HEARTH_RETURN_IF_ERROR(vm.AddIoeventfd(transport.notify_fd(queue), VmFd::Space::kMmio,
                                             slot.node.base + MmioTransport::kQueueNotifyOffset,
                                             sizeof(uint32_t), queue),
                             transport.name());
    }
  }
  return absl::OkStatus();
}

std::vector<virtio::DeviceHandle> DeviceManager::Handles() {
  std::vector<virtio::DeviceHandle> handles;
  for (Slot& slot : slots_) handles.emplace_back(&slot.transport->device(), slot.loop);
  return handles;
}

void DeviceManager::Pause() {
  for (Slot& slot : slots_) slot.transport->Pause();
}

void DeviceManager::Resume() {
  for (Slot& slot : slots_) slot.transport->Resume();
}

std::vector<virtio::DeviceState> DeviceManager::Save() {
  std::vector<virtio::DeviceState> states;
  for (Slot& slot : slots_) states.push_back(slot.transport->Save());
  return states;
}

absl::Status DeviceManager::Restore(const std::vector<virtio::DeviceState>& states) {
  if (states.size() != slots_.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the snapshot has ", states.size(), " virtio devices, the machine has ", slots_.size()));
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    HEARTH_RETURN_IF_ERROR(slots_[i].transport->Restore(states[i]), slots_[i].transport->name());
  }
  return absl::OkStatus();
}

}  // namespace hearth
