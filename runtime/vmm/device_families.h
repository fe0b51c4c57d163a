// SPDX-License-Identifier: Apache-2.0
// DeviceFamilies: one family for each virtio module of this build: the way from the API's device
// nouns to the machine's devices and back. Main thread.
#ifndef HEARTH_RUNTIME_VMM_DEVICE_FAMILIES_H_
#define HEARTH_RUNTIME_VMM_DEVICE_FAMILIES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "devices/virtio/core/device_module.h"
#include "runtime/control/resource.h"

namespace hearth {

class DeviceFamilies {
 public:
  explicit DeviceFamilies(absl::Span<const virtio::DeviceModule* const> modules);

  // The nouns point to the families, which must outlive them.
  void AddResources(std::vector<std::unique_ptr<Resource>>* resources);

  // What the API has configured, in the order of the slots. FailedPrecondition if it is more than a
  // machine can have.
  absl::StatusOr<std::vector<virtio::DeviceRequest>> Requests();
  // With a blank before each argument.
  std::string KernelArguments() const;
  // The devices of the last Requests(), in its order.
  void Attach(const std::vector<virtio::DeviceHandle>& handles);

  // The metrics of each attached device, such as "block_rootfs" and "balloon", and the sum of those
  // of a module, such as "block": section -> name -> value.
  std::map<std::string, std::map<std::string, uint64_t>> CollectMetrics() const;

 private:
  struct Family {
    const virtio::DeviceModule* module;
    std::unique_ptr<virtio::DeviceFamily> family;
    // Of the last Requests(); the handles are there once attached.
    std::vector<std::string> paths;
    std::vector<virtio::DeviceHandle> handles;
  };
  std::vector<Family> families_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_DEVICE_FAMILIES_H_
