// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/test_loop.h"

#include <sched.h>

#include <utility>

#include "base/status_macros.h"
#include "devices/virtio/core/loop_call.h"

namespace hearth::virtio {
namespace {

constexpr std::chrono::seconds kNever(20);

}  // namespace

TestLoop::TestLoop(Mode mode, bool io_uring) : mode_(mode) {
  auto loop = base::EventLoop::Create({.io_uring = io_uring});
  HEARTH_CHECK(loop.ok());
  loop_ = *std::move(loop);
  if (mode == Mode::kInline) return;
  auto thread = base::Thread::Start("io/test", [this] { loop_->Run(); });
  HEARTH_CHECK(thread.ok());
  thread_ = *std::move(thread);
}

TestLoop::~TestLoop() {
  if (mode_ == Mode::kInline) return;
  loop_->Quit();
  thread_.Join();
}

DeviceContext TestLoop::Context(GuestMemory* memory) {
  return {.memory = memory, .loop = loop_.get(), .inline_loop = mode_ == Mode::kInline};
}

void TestLoop::Settle() {
  if (mode_ == Mode::kInline) {
    (void)loop_->RunUntil([] { return false; }, std::chrono::nanoseconds(0));
  } else {
    CallOnLoop(loop_.get(), false, [](absl::AnyInvocable<void()> done) { done(); });
  }
}

bool TestLoop::RunUntil(absl::FunctionRef<bool()> done) {
  if (mode_ == Mode::kInline) return loop_->RunUntil(done, kNever);
  const auto end = std::chrono::steady_clock::now() + kNever;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    sched_yield();
  }
  return true;
}

}  // namespace hearth::virtio
