// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/loop_call.h"

#include <chrono>

#include "absl/synchronization/notification.h"
#include "base/status_macros.h"

namespace hearth::virtio {

void CallOnLoop(base::EventLoop* loop, bool inline_loop,
                absl::FunctionRef<void(absl::AnyInvocable<void()> done)> work) {
  absl::Notification done;
  loop->Post([work, &done] { work([&done] { done.Notify(); }); });
  if (inline_loop) {
    // A test that hangs helps nobody.
    HEARTH_CHECK(
        loop->RunUntil([&done] { return done.HasBeenNotified(); }, std::chrono::minutes(1)));
  } else {
    done.WaitForNotification();
  }
}

}  // namespace hearth::virtio
