// SPDX-License-Identifier: Apache-2.0
// What a request costs in the rings alone: nanoseconds a Pop + Complete, and a Publish a batch,
// with interrupts suppressed by the event index, so that no system call is in the figure. The
// driver's part of a batch is one store: rings and descriptors are laid out before.
//
// Prints one line a shape and batch; the least of several runs, since noise only adds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <vector>

#include "base/status_macros.h"
#include "devices/virtio/core/device.h"
#include "devices/virtio/core/queue.h"
#include "devices/virtio/core/queue_fake.h"

namespace {

using namespace hearth;
using namespace hearth::virtio;

constexpr uint16_t kSize = 256;
constexpr int kRuns = 400;
constexpr int kRequests = 1 << 14;

struct Shape {
  const char* name;
  uint16_t buffers;
  bool indirect;
};

// Each head of the ring is a chain of this shape, over and over.
double NanosecondsARequest(const Shape& shape, uint16_t batch) {
  const auto memory = *GuestMemory::Create({.size_bytes = 64 << 20});
  QueueFake driver(memory.get(), GuestAddress(0x10000), kSize);
  Interrupt interrupt(*IrqLine::Create());
  const auto queue =
      *Queue::Create(memory.get(), 0, driver.Config(kSize), kTransportFeatures, &interrupt);
  const uint16_t heads = shape.indirect ? kSize : kSize / shape.buffers;
  std::vector<uint16_t> ring;
  for (uint16_t i = 0; i < heads; ++i) {
    std::vector<QueueFake::Part> parts;
    for (uint16_t b = 0; b < shape.buffers; ++b) {
      parts.push_back(
          {GuestAddress(0x100000 + 0x4000u * i + 0x1000u * b), 0x200, b + 1 == shape.buffers});
    }
    ring.push_back(shape.indirect ? *driver.AddIndirect(parts, GuestAddress(0x80000 + 0x100u * i))
                                  : *driver.Add(parts));
  }
  for (uint16_t slot = 0; slot < kSize; ++slot) driver.WriteAvailable(slot, ring[slot % heads]);

  std::vector<DescriptorChain> chains(batch);
  uint16_t available = 0;
  double best = std::numeric_limits<double>::max();
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    for (int done = 0; done < kRequests; done += batch) {
      available = static_cast<uint16_t>(available + batch);
      driver.WriteAvailableIndex(available);
      if (done == 0) driver.SetUsedEvent(static_cast<uint16_t>(available + 0x8000));
      for (DescriptorChain& chain : chains) {
        HEARTH_CHECK(queue->Pop(&chain) == Queue::PopResult::kChain);
      }
      for (DescriptorChain& chain : chains) queue->Complete(&chain, 1);
      queue->Publish();
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count() / kRequests);
  }
  HEARTH_CHECK(interrupt.status() == 0);
  return best;
}

}  // namespace

int main() {
  const Shape shapes[] = {{"1 descriptor", 1, false},
                          {"3 descriptors", 3, false},
                          {"3 descriptors, indirect", 3, true}};
  std::printf("%-24s %8s %8s\n", "ns a request, batch of", "1", "32");
  for (const Shape& shape : shapes) {
    std::printf("%-24s %8.1f %8.1f\n", shape.name, NanosecondsARequest(shape, 1),
                NanosecondsARequest(shape, 32));
  }
  return 0;
}
