// SPDX-License-Identifier: Apache-2.0
// DriveFamily: the drives of this process: their configurations and, once the machine runs, their
// devices. Main thread.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_DRIVE_FAMILY_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_DRIVE_FAMILY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/block/drive.json.h"
#include "devices/virtio/core/config_list.h"
#include "devices/virtio/core/device_module.h"

namespace hearth::virtio::block {

class DriveFamily final : public DeviceFamily {
 public:
  void AddResources(std::vector<std::unique_ptr<Resource>>* resources) override;
  std::vector<DeviceRequest> Requests() override;
  std::string KernelArguments() const override;
  void Attach(std::vector<DeviceHandle> handles) override;

  // --- For the nouns.
  // Before the start. Opens the file to see that it is there. InvalidArgument names the field.
  absl::Status Put(absl::string_view id, const Drive& drive);
  // After the start. Returns when the file was changed.
  absl::Status Patch(absl::string_view id, const PartialDrive& patch);
  // nullptr where there is none.
  const Drive* Find(absl::string_view id);
  // In the order of their first PUT.
  const std::vector<ConfigList<Drive>::Item>& drives() const { return drives_.items(); }

 private:
  absl::Status ReplaceFile(const Drive& drive, const std::string& path, const DeviceHandle& handle);
  // In the order in which the guest finds them: the root first.
  std::vector<const ConfigList<Drive>::Item*> InGuestOrder() const;

  ConfigList<Drive> drives_;
  // Of InGuestOrder(); empty before the start.
  std::vector<DeviceHandle> handles_;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_DRIVE_FAMILY_H_
