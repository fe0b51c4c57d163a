// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/device_families.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/vmm/device_manager.h"

namespace hearth {

DeviceFamilies::DeviceFamilies(absl::Span<const virtio::DeviceModule* const> modules) {
  for (const virtio::DeviceModule* module : modules)
    families_.push_back({module, module->create_family(), {}, {}});
}

void DeviceFamilies::AddResources(std::vector<std::unique_ptr<Resource>>* resources) {
  for (const Family& family : families_) family.family->AddResources(resources);
}

absl::StatusOr<std::vector<virtio::DeviceRequest>> DeviceFamilies::Requests() {
  std::vector<virtio::DeviceRequest> all;
  for (Family& family : families_) {
    std::vector<virtio::DeviceRequest> requests = family.family->Requests();
    family.paths.clear();
    for (const virtio::DeviceRequest& request : requests) family.paths.push_back(request.path);
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
  for (const Family& family : families_) {
    const std::string of_family = family.family->KernelArguments();
    if (!of_family.empty()) absl::StrAppend(&arguments, " ", of_family);
  }
  return arguments;
}

void DeviceFamilies::Attach(const std::vector<virtio::DeviceHandle>& handles) {
  auto next = handles.begin();
  for (Family& family : families_) {
    const auto end = next + static_cast<std::ptrdiff_t>(family.paths.size());
    family.handles.assign(next, end);
    family.family->Attach(family.handles);
    next = end;
  }
}

std::map<std::string, std::map<std::string, uint64_t>> DeviceFamilies::CollectMetrics() const {
  std::map<std::string, std::map<std::string, uint64_t>> sections;
  for (const Family& family : families_) {
    const std::string module(family.module->name.data(), family.module->name.size());
    for (size_t i = 0; i < family.handles.size(); ++i) {
      // "drives/rootfs" is block_rootfs; a device that is the only one of its kind is the module.
      const size_t slash = family.paths[i].find('/');
      const std::string own = slash == std::string::npos
                                  ? ""
                                  : absl::StrCat(module, "_", family.paths[i].substr(slash + 1));
      family.handles[i].get()->VisitMetrics([&](absl::string_view name, uint64_t value) {
        const std::string key(name.data(), name.size());
        sections[module][key] += value;
        if (!own.empty()) sections[own][key] = value;
      });
    }
  }
  return sections;
}

}  // namespace hearth
