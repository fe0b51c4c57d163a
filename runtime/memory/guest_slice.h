// SPDX-License-Identifier: Apache-2.0
// GuestSlice: a checked piece of guest memory that may change under us at any time.
//
// The guest's vCPUs run while the VMM reads, so nothing behind a slice is ever a C++ object: values
// are copied in and copied out, scalars with one volatile access each, so that a value that was
// checked is the value that is used. A slice does not own: it lives no longer than its GuestMemory.
// Copies are cheap. Any thread. Offsets and sizes are in bytes from the start of the slice; an
// access that does not fit returns false (or nullopt) and touches nothing.
#ifndef HEARTH_RUNTIME_MEMORY_GUEST_SLICE_H_
#define HEARTH_RUNTIME_MEMORY_GUEST_SLICE_H_

#include <sys/uio.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

#include "runtime/memory/dirty_bitmap.h"

namespace hearth {

// Between a store to guest memory and a load from it: whoever does the same on the other side, with
// the two places exchanged, sees our store or we see theirs. (std::atomic_thread_fence means the
// same, but gcc refuses it under ThreadSanitizer.)
inline void GuestFullFence() { __sync_synchronize(); }

class GuestSlice {
 public:
  GuestSlice() = default;

  uint64_t size() const { return size_; }

  // [offset, offset + size) of this slice; nullopt where that is not inside.
  std::optional<GuestSlice> Subslice(uint64_t offset, uint64_t size) const {
    if (!Fits(offset, size)) return std::nullopt;
    return GuestSlice(hva_ + offset, size, dirty_, dirty_offset_ + offset);
  }

  [[nodiscard]] bool CopyOut(uint64_t offset, void* to, uint64_t size) const {
    if (!Fits(offset, size)) return false;
    std::memcpy(to, hva_ + offset, size);
    return true;
  }
  [[nodiscard]] bool CopyIn(uint64_t offset, const void* from, uint64_t size) const {
    if (!Fits(offset, size)) return false;
    std::memcpy(hva_ + offset, from, size);
    MarkDirty(offset, size);
    return true;
  }
  [[nodiscard]] bool Fill(uint64_t offset, uint8_t value, uint64_t size) const {
    if (!Fits(offset, size)) return false;
    std::memset(hva_ + offset, value, size);
    MarkDirty(offset, size);
    return true;
  }

  // One access of the scalar's size where it is naturally aligned in the host's address space.
  // Little endian, as virtio and the boot protocols have it.
  template <typename T>
  requires std::is_integral_v<T> std::optional<T> Load(uint64_t offset)
  const {
    if (!Fits(offset, sizeof(T))) return std::nullopt;
    if (Aligned<T>(offset)) {
      return *reinterpret_cast<const volatile T*>(hva_ + offset);
    }
    T value;
    std::memcpy(&value, hva_ + offset, sizeof(T));
    return value;
  }
  template <typename T>
  requires std::is_integral_v<T>
  [[nodiscard]] bool Store(uint64_t offset, T value) const {
    if (!Fits(offset, sizeof(T))) return false;
    if (Aligned<T>(offset)) {
      *reinterpret_cast<volatile T*>(hva_ + offset) = value;
    } else {
      std::memcpy(hva_ + offset, &value, sizeof(T));
    }
    MarkDirty(offset, sizeof(T));
    return true;
  }

  // A scalar that the guest's threads synchronize by, such as a ring's index: what the guest wrote
  // before it is seen after LoadAcquire(), and what was written here before StoreRelease() is seen
  // by whom sees the value. The scalar must be naturally aligned in guest memory (which maps pages
  // to pages): an access that is not returns nullopt or false.
  template <typename T>
  requires std::is_integral_v<T> std::optional<T> LoadAcquire(uint64_t offset)
  const {
    if (!Fits(offset, sizeof(T)) || !Aligned<T>(offset)) return std::nullopt;
    return __atomic_load_n(reinterpret_cast<const T*>(hva_ + offset), __ATOMIC_ACQUIRE);
  }
  template <typename T>
  requires std::is_integral_v<T>
  [[nodiscard]] bool StoreRelease(uint64_t offset, T value) const {
    if (!Fits(offset, sizeof(T)) || !Aligned<T>(offset)) return false;
    __atomic_store_n(reinterpret_cast<T*>(hva_ + offset), value, __ATOMIC_RELEASE);
    MarkDirty(offset, sizeof(T));
    return true;
  }

  // For system calls that fill or drain guest memory themselves (readv, io_uring). After the kernel
  // wrote into it, the caller says so with MarkDirty().
  iovec AsIovec() const { return {hva_, static_cast<size_t>(size_)}; }
  void MarkDirty(uint64_t offset, uint64_t size) const {
    if (dirty_ != nullptr) dirty_->Mark(dirty_offset_ + offset, size);
  }

 private:
  friend class GuestMemory;
  GuestSlice(uint8_t* hva, uint64_t size, DirtyBitmap* dirty, uint64_t dirty_offset)
      : hva_(hva), size_(size), dirty_(dirty), dirty_offset_(dirty_offset) {}
  bool Fits(uint64_t offset, uint64_t size) const {
    return offset <= size_ && size <= size_ - offset;
  }
  template <typename T>
  bool Aligned(uint64_t offset) const {
    return reinterpret_cast<uintptr_t>(hva_ + offset) % alignof(T) == 0;
  }

  uint8_t* hva_ = nullptr;
  uint64_t size_ = 0;
  DirtyBitmap* dirty_ = nullptr;
  uint64_t dirty_offset_ = 0;  // of hva_ in the bitmap's bytes
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_MEMORY_GUEST_SLICE_H_
