// SPDX-License-Identifier: Apache-2.0
// For tests: each backend that an event loop may have.
#ifndef HEARTH_BASE_LOOP_BACKENDS_H_
#define HEARTH_BASE_LOOP_BACKENDS_H_

#include <gtest/gtest.h>

#include <string>

#include "base/event_loop.h"

namespace hearth::base {

struct LoopBackend {
  const char* name;
  EventLoop::Options options;
};

inline constexpr LoopBackend kLoopBackends[] = {
    {"Epoll", {}},
    {"DeferTaskrun", {.io_uring = true}},
    {"CoopTaskrun", {.io_uring = true, .ring_mode = IoRing::Mode::kCoopTaskrun}},
    {"Plain", {.io_uring = true, .ring_mode = IoRing::Mode::kPlain}},
};

inline std::string LoopBackendName(const testing::TestParamInfo<LoopBackend>& info) {
  return info.param.name;
}

// A test over each backend. INSTANTIATE_TEST_SUITE_P(Backends, YourTest,
// testing::ValuesIn(kLoopBackends), LoopBackendName).
class LoopBackendTest : public testing::TestWithParam<LoopBackend> {
 protected:
  void SetUp() override {
    auto loop = EventLoop::Create(GetParam().options);
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    const bool wanted = GetParam().options.io_uring;
    if (wanted &&
        (loop_->ring() == nullptr || loop_->ring()->mode() != GetParam().options.ring_mode)) {
      GTEST_SKIP() << "skipped, because this kernel gives " << loop_->backend();
    }
  }

  // Turns while there is something to do.
  void Settle() {
    loop_->RunUntil([] { return false; }, std::chrono::nanoseconds::zero());
  }
  // Turns until `done`; fails when that takes too long.
  void Await(absl::FunctionRef<bool()> done) {
    ASSERT_TRUE(loop_->RunUntil(done, std::chrono::seconds(30)));
  }

  std::unique_ptr<EventLoop> loop_;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_LOOP_BACKENDS_H_
