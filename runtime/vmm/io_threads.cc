// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/io_threads.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace hearth {

absl::StatusOr<std::unique_ptr<IoThreads>> IoThreads::Start(uint32_t count, bool allow_io_uring) {
  std::unique_ptr<IoThreads> threads(new IoThreads);
  for (uint32_t i = 0; i < count; ++i) {
    const std::string name = absl::StrCat("io/", i);
    auto io = std::make_unique<IoThread>();
    HEARTH_ASSIGN_OR_RETURN(io->loop, base::EventLoop::Create({.io_uring = allow_io_uring}), name);
    base::EventLoop* const loop = io->loop.get();
    HEARTH_ASSIGN_OR_RETURN(io->thread, base::Thread::Start(name, [loop] { loop->Run(); }));
    threads->threads_.push_back(std::move(io));
  }
  HEARTH_LOG(kInfo, "devices run on ", count, count == 1 ? " thread" : " threads", " over ",
             threads->threads_.front()->loop->backend());
  return threads;
}

IoThreads::~IoThreads() {
  for (const auto& io : threads_) {
    if (!io->thread.joinable()) continue;
    io->loop->Quit();
    io->thread.Join();
  }
}

}  // namespace hearth
