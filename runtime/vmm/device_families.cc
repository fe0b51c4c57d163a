// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/device_families.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "runtime/vmm/device_manager.h"

namespace hearth {

DeviceFamilies::DeviceFamilies(absl::Span<const virtio::DeviceModule* const> modules) {
  for (const virtio::DeviceModule* module : modules) families_.push_back(module->create_family());
}

void DeviceFamilies::AddResources(std::vector<std::unique_ptr<Resource>>* resources) {
  for (const auto& family : families_) family->AddResources(resources);
}

absl::StatusOr<std::vector<virtio::DeviceRequest>> DeviceFamilies::Requests() {
  std::vector<virtio::DeviceRequest> all;
  request_counts_.clear();
  for (const auto& family : families_) {
    std::vector<virtio::DeviceRequest> requests = family->Requests();
    request_counts_.push_back(requests.size());
    std::move(requests.begin(), requests.end(), std::back_inserter(all));
  }
  if (all.size() > kMaxDevices) {
    return absl::FailedPreconditionError(absl::StrCat("the microVM has ", all.size(),
                                                      " drives, network interfaces and balloons; ",
                                                      kMaxDevices, " are possible"));
  }
  return all;
}

std::string DeviceFamilies::KernelArguments() const {
  std::string arguments;
  for (const auto& family : families_) {
    const std::string of_family = family->KernelArguments();
    if (!of_family.empty()) absl::StrAppend(&arguments, " ", of_family);
  }
  return arguments;
}

void DeviceFamilies::Attach(const std::vector<virtio::DeviceHandle>& handles) {
  size_t first = 0;
  for (size_t i = 0; i < families_.size(); ++i) {
    const auto begin = handles.begin() + static_cast<std::ptrdiff_t>(first);
    families_[i]->Attach({begin, begin + static_cast<std::ptrdiff_t>(request_counts_[i])});
    first += request_counts_[i];
  }
}

}  // namespace hearth
