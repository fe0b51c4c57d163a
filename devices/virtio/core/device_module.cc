// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/device_module.h"

#include <utility>

#include "devices/virtio/core/loop_call.h"

namespace hearth::virtio {

absl::Status DeviceHandle::Run(absl::FunctionRef<absl::Status(Device&)> work) const {
  absl::Status status;
  CallOnLoop(loop_, inline_loop_, [this, &status, work](absl::AnyInvocable<void()> done) {
    status = work(*device_);
    done();
  });
  return status;
}

void DeviceHandle::RunToEnd(
    absl::FunctionRef<void(Device&, absl::AnyInvocable<void()> done)> work) const {
  CallOnLoop(loop_, inline_loop_,
             [this, work](absl::AnyInvocable<void()> done) { work(*device_, std::move(done)); });
}

}  // namespace hearth::virtio
