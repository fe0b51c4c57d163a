// SPDX-License-Identifier: Apache-2.0
// Engine: how a drive's system calls are made.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_ENGINE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_ENGINE_H_

#include <cstdint>

#include "base/io_ring.h"
#include "devices/virtio/block/io.h"
#include "devices/virtio/block/write_policy.h"

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

// "Async": the loop's io_uring, which submits with the turn's one system call. What is certain, or
// likely, to be a copy from or to the page cache is done by a system call of its own where that is
// cheaper (docs/block.md has the figures): a read that is alone by preadv2(RWF_NOWAIT), and a write
// that the ring would hand to a kernel thread, as WritePolicy says.
class RingEngine final : public Engine, private Io::Stepper {
 public:
  // `ring` outlives the engine.
  explicit RingEngine(base::IoRing* ring) : ring_(*ring) {}
  void Start(Io* io, bool alone) override;

 private:
  // Each is true if `io` is at its end.
  bool TryRead(Io* io);
  bool TryWrite(Io* io, bool alone);
  void Step(Io* io) override;

  base::IoRing& ring_;
  // After a miss, how many reads go to the ring before the page cache is tried again.
  uint32_t skip_reads_ = 0;
  // Does the file system know RWF_NOWAIT for writes? Found out at the first one.
  bool nowait_writes_ = true;
  WritePolicy write_policy_;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_ENGINE_H_
