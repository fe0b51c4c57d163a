// SPDX-License-Identifier: Apache-2.0
// CallOnLoop: work on a device's thread that another thread waits for.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_LOOP_CALL_H_
#define HEARTH_DEVICES_VIRTIO_CORE_LOOP_CALL_H_

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "base/event_loop.h"

namespace hearth::virtio {

// Runs `work` on the thread of `loop` and returns when `done` was called there: by `work`, or by a
// later event. Not from that thread. `inline_loop`: no thread runs the loop, so the caller turns it
// itself (DeviceContext::inline_loop).
void CallOnLoop(base::EventLoop* loop, bool inline_loop,
                absl::FunctionRef<void(absl::AnyInvocable<void()> done)> work);

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_LOOP_CALL_H_
