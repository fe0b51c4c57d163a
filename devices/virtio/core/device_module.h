// SPDX-License-Identifier: Apache-2.0
// DeviceModule: everything that the rest of Hearth knows of a kind of virtio device.
//
// A device is a folder devices/virtio/NAME that defines `hearth::virtio::NAME::kModule` in
// module.h, and a line in devices/virtio/devices.bzl. From that the build generates the table
// (devices/virtio/device_table.h) that the VMM, the API and the conformance suite walk over.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_DEVICE_MODULE_H_
#define HEARTH_DEVICES_VIRTIO_CORE_DEVICE_MODULE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/virtio/core/device.h"
#include "runtime/control/resource.h"

namespace hearth::virtio {

// A live device, for the API's nouns. Main thread; copies are cheap; valid while the machine is.
class DeviceHandle {
 public:
  DeviceHandle() = default;
  DeviceHandle(Device* device, base::EventLoop* loop, bool inline_loop = false)
      : device_(device), loop_(loop), inline_loop_(inline_loop) {}
  explicit operator bool() const { return device_ != nullptr; }

  // Runs `work` on the device's thread and waits for its result.
  absl::Status Run(absl::FunctionRef<absl::Status(Device&)> work) const;
  // The same for work that a later event ends: returns when `done` was called, on that thread.
  void RunToEnd(absl::FunctionRef<void(Device&, absl::AnyInvocable<void()> done)> work) const;
  // For what is any thread's, such as VisitMetrics().
  Device* get() const { return device_; }

 private:
  Device* device_ = nullptr;
  base::EventLoop* loop_ = nullptr;
  bool inline_loop_ = false;  // DeviceContext's
};

// One device that the machine is to have.
struct DeviceRequest {
  // Names it in errors, logs, metrics and snapshots: "drives/rootfs".
  std::string path;
  // Which io thread it wants; the VMM takes it modulo their number.
  uint32_t io_thread = 0;
  // Opens what the device needs on the host. Called once, on the main thread. Errors name the field
  // that is at fault and begin with the path of the noun.
  absl::AnyInvocable<absl::StatusOr<std::unique_ptr<Device>>(const DeviceContext&)> create;
};

// The devices of one module in this process: what the API was told about them, and, once the
// machine runs, the way to them. Main thread.
class DeviceFamily {
 public:
  virtual ~DeviceFamily() = default;
  // Appends the nouns, which may point to the family: it outlives them.
  virtual void AddResources(std::vector<std::unique_ptr<Resource>>* resources) = 0;
  // What the start needs, in the order in which the guest is to find them.
  virtual std::vector<DeviceRequest> Requests() = 0;
  // What the kernel's command line needs, such as "root=/dev/vda rw"; "" for nothing.
  virtual std::string KernelArguments() const { return ""; }
  // The devices of Requests(), in its order, once the machine is built.
  virtual void Attach(std::vector<DeviceHandle> handles) = 0;
};

// A system call that the device makes on its io thread after the start, for the thread's seccomp
// filter.
struct SystemCall {
  absl::string_view name;
  absl::string_view reason;
};

struct DeviceModule {
  absl::string_view name;  // of the folder
  uint32_t virtio_id;
  std::unique_ptr<DeviceFamily> (*create_family)();
  // Besides those of the event loop.
  absl::Span<const SystemCall> system_calls;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_DEVICE_MODULE_H_
