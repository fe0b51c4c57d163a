// SPDX-License-Identifier: Apache-2.0
// Engine: how a drive's system calls are made.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_ENGINE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_ENGINE_H_

#include <cstdint>

#include "base/io_ring.h"
#include "devices/virtio/block/io.h"

namespace hearth::virtio::block {

// Device thread.
class Engine {
 public:
  virtual ~Engine() = default;
  // Takes `io` to its end, then calls its Finish(): from inside Start(), or from a later event.
  // `alone` says that nothing else is under way or about to start, so there is nothing to share a
  // system call with.
  virtual void Start(Io* io, bool alone) = 0;
};

// "Sync": preadv2(2) and its relatives, here and now. The thread waits for the disk, and with it
// every device that shares the thread.
class SyncEngine final : public Engine {
 public:
  void Start(Io* io, bool alone) override;
};

// "Async": the loop's io_uring, which submits with the turn's one system call. A read that is alone
// tries the page cache with preadv2(RWF_NOWAIT) first, which is one system call too, but a shorter
// one (docs/block.md has the figures).
class RingEngine final : public Engine, private Io::Stepper {
 public:
  // `ring` outlives the engine.
  explicit RingEngine(base::IoRing* ring) : ring_(*ring) {}
  void Start(Io* io, bool alone) override;

 private:
  bool TryPageCache(Io* io);
  void Step(Io* io) override;

  base::IoRing& ring_;
  // After a miss, how many reads go to the ring before the page cache is tried again.
  uint32_t skip_page_cache_ = 0;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_ENGINE_H_
