// SPDX-License-Identifier: Apache-2.0
// DeviceFamilies: one family for each virtio module of this build: the way from the API's device
// nouns to the machine's devices and back. Main thread.
#ifndef HEARTH_RUNTIME_VMM_DEVICE_FAMILIES_H_
#define HEARTH_RUNTIME_VMM_DEVICE_FAMILIES_H_

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

 private:
  std::vector<std::unique_ptr<virtio::DeviceFamily>> families_;
  std::vector<size_t> request_counts_;  // of the last Requests(), one a family
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_DEVICE_FAMILIES_H_
