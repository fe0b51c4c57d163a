// SPDX-License-Identifier: Apache-2.0
// DescriptorChain: the buffers of one request, taken from a Queue.
//
// Each descriptor was read once, checked and translated when the chain was taken; nothing that the
// driver writes to the rings later changes the chain. What is behind the buffers may change at any
// time, so it is copied in and out, or given to system calls. Buffers of length 0 are left out.
//
// Move-only. A chain that was taken must be completed (Queue::Complete), given back
// (Queue::Unpop) or, when its queue is gone, dropped; the destructor checks it. A chain keeps its
// memory from one request to the next: reuse chains, and taking a request allocates nothing.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_DESCRIPTOR_CHAIN_H_
#define HEARTH_DEVICES_VIRTIO_CORE_DESCRIPTOR_CHAIN_H_

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace hearth::virtio {

class DescriptorChain {
 public:
  DescriptorChain() = default;
  DescriptorChain(DescriptorChain&& other) noexcept;
  DescriptorChain& operator=(DescriptorChain&& other) noexcept;
  ~DescriptorChain();

  // Was it taken and not yet completed, given back or dropped?
  bool pending() const { return pending_; }
  // The index of the first descriptor, which names the request until it is completed.
  uint16_t head() const { return head_; }

  // The device-readable buffers, then the device-writable ones, in the driver's order.
  absl::Span<const iovec> readable() const { return {vectors_.data(), readable_count_}; }
  absl::Span<const iovec> writable() const {
    return {vectors_.data() + readable_count_, vectors_.size() - readable_count_};
  }
  // At most 2^32 - 1 together (section "The Virtqueue Descriptor Table").
  uint32_t readable_bytes() const { return readable_bytes_; }
  uint32_t writable_bytes() const { return writable_bytes_; }

  // From the readable buffers, `offset` counted over all of them. False, nothing done, where they
  // are too short.
  [[nodiscard]] bool CopyOut(uint32_t offset, void* to, uint32_t size) const;
  // Into the writable buffers.
  [[nodiscard]] bool CopyIn(uint32_t offset, const void* from, uint32_t size) const;

  // Forgets a chain whose queue was reset or destroyed.
  void Drop() { pending_ = false; }

 private:
  friend class Queue;

  std::vector<iovec> vectors_;
  size_t readable_count_ = 0;
  uint32_t readable_bytes_ = 0;
  uint32_t writable_bytes_ = 0;
  uint16_t head_ = 0;
  bool pending_ = false;
};

// The parts of `from` that cover [offset, offset + size), appended to `*to`; false where `from` is
// too short. For requests whose header lies in the same buffers as their data.
[[nodiscard]] bool SliceVectors(absl::Span<const iovec> from, uint32_t offset, uint32_t size,
                                std::vector<iovec>* to);

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_DESCRIPTOR_CHAIN_H_
