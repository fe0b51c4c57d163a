// SPDX-License-Identifier: Apache-2.0
// TestLoop: an event loop for tests of devices, on a thread of its own as in the product, or turned
// by the test, so that nothing happens behind its back.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_TEST_LOOP_H_
#define HEARTH_DEVICES_VIRTIO_CORE_TEST_LOOP_H_

#include <chrono>
#include <memory>

#include "absl/functional/function_ref.h"
#include "base/event_loop.h"
#include "base/thread.h"
#include "devices/virtio/core/device.h"

namespace hearth::virtio {

class TestLoop {
 public:
  enum class Mode { kInline, kThread };
  explicit TestLoop(Mode mode, bool io_uring = false);
  // Ends the thread. Transports that were active on the loop are shut down before.
  ~TestLoop();
  TestLoop(const TestLoop&) = delete;
  TestLoop& operator=(const TestLoop&) = delete;

  base::EventLoop* loop() { return loop_.get(); }
  DeviceContext Context(GuestMemory* memory);

  // Inline: everything that is ready now. On a thread: what was posted before.
  void Settle();
  // Until `done`, which this thread asks; false after 20 seconds, which is never.
  [[nodiscard]] bool RunUntil(absl::FunctionRef<bool()> done);

 private:
  const Mode mode_;
  std::unique_ptr<base::EventLoop> loop_;
  base::Thread thread_;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_TEST_LOOP_H_
