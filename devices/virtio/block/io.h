// SPDX-License-Identifier: Apache-2.0
// Io: one operation on a backing file, taken to its end through as many system calls as it needs.
//
// It knows what the next system call is and what its result means: short transfers go on where they
// stopped, what a file has beyond its end reads as zero, and zeroing that the file system cannot do
// becomes writing zeroes. An engine (engine.h) only makes the calls. Device thread.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_IO_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_IO_H_

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/io_ring.h"
#include "devices/virtio/block/backing_file.h"

namespace hearth::virtio::block {

// One system call.
struct IoCall {
  enum class Kind : uint8_t { kRead, kWrite, kSync, kAllocate };
  Kind kind;
  int fd;
  absl::Span<const iovec> vectors = {};  // kRead, kWrite
  uint64_t offset = 0;
  uint64_t length = 0;  // kAllocate
  int mode = 0;         // kAllocate
};

class Io : public base::IoOperation {
 public:
  enum class Kind : uint8_t { kRead, kWrite, kFlush, kDiscard, kZero };

  // Told of the end; may set up the same Io again and start it.
  class Owner {
   public:
    virtual void OnIoDone(Io* io) = 0;

   protected:
    ~Owner() = default;
  };
  // An engine that makes calls which end later.
  class Stepper {
   public:
    // Makes the next call of `io`.
    virtual void Step(Io* io) = 0;

   protected:
    ~Stepper() = default;
  };

  explicit Io(Owner* owner) : owner_(owner) {}
  Io(const Io&) = delete;
  Io& operator=(const Io&) = delete;

  // One of these before each start. `file` and the vectors stay until the end. A transfer is not
  // empty and lies within the capacity of `file`.
  void SetTransfer(Kind kind, const BackingFile* file, absl::Span<const iovec> vectors,
                   uint64_t offset, uint64_t length);
  void SetFlush(const BackingFile* file);
  // kDiscard, or kZero, which may free the blocks on the host if `may_unmap`.
  void SetRange(Kind kind, BackingFile* file, uint64_t offset, uint64_t length, bool may_unmap);

  Kind kind() const { return kind_; }
  // At the end: 0, or what went wrong.
  int error() const { return error_; }

  // --- For engines.
  // Does it go through the page cache?
  bool buffered() const { return !file_->direct(); }
  // Does a write touch no page of the page cache in part only?
  bool whole_pages() const { return offset_ % 4096 == 0 && length_ % 4096 == 0; }
  IoCall NextCall() const;
  // Takes in the result of the call that NextCall() described: a negative errno, or what the system
  // call returned. True: that was the last; call Finish().
  [[nodiscard]] bool Advance(int64_t result);
  void Finish() { owner_->OnIoDone(this); }
  // Who makes the next call after one that ended later.
  void set_stepper(Stepper* stepper) { stepper_ = stepper; }
  void OnComplete(int32_t result) override;

 private:
  bool Fail(int error);
  bool AdvanceTransfer(uint64_t bytes);
  bool RetryRange();
  void FillWithZeroes();

  Owner* const owner_;
  Stepper* stepper_ = nullptr;
  const BackingFile* file_ = nullptr;
  BackingFile* zeroed_file_ = nullptr;
  Kind kind_ = Kind::kFlush;
  bool may_unmap_ = false;
  uint8_t retries_ = 0;
  int error_ = 0;
  int mode_ = 0;  // of the next fallocate(2); 0: write zeroes instead
  uint64_t offset_ = 0;
  uint64_t length_ = 0;              // what is left
  absl::Span<const iovec> vectors_;  // the same, of a transfer
  std::vector<iovec> rest_;          // holds vectors_ after a short transfer
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_IO_H_
