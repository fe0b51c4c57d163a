// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/descriptor_chain.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/status_macros.h"

namespace hearth::virtio {
namespace {

// Calls `visit` with the parts of `from` that cover [offset, offset + size). The caller has checked
// that they are there.
template <typename Visitor>
void VisitParts(absl::Span<const iovec> from, uint32_t offset, uint32_t size, Visitor visit) {
  uint64_t skip = offset;
  uint64_t left = size;
  for (const iovec& piece : from) {
    if (left == 0) return;
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    const uint64_t take = std::min<uint64_t>(left, piece.iov_len - skip);
    visit(static_cast<uint8_t*>(piece.iov_base) + skip, take);
    skip = 0;
    left -= take;
  }
}

bool Fits(uint64_t total, uint32_t offset, uint32_t size) {
  return offset <= total && size <= total - offset;
}

}  // namespace

DescriptorChain::DescriptorChain(DescriptorChain&& other) noexcept { *this = std::move(other); }

DescriptorChain& DescriptorChain::operator=(DescriptorChain&& other) noexcept {
  HEARTH_CHECK(!pending_);
  // Swapped, so that the memory of both lives on.
  vectors_.swap(other.vectors_);
  readable_count_ = other.readable_count_;
  readable_bytes_ = other.readable_bytes_;
  writable_bytes_ = other.writable_bytes_;
  head_ = other.head_;
  pending_ = std::exchange(other.pending_, false);
  other.vectors_.clear();
  other.readable_count_ = 0;
  other.readable_bytes_ = other.writable_bytes_ = 0;
  return *this;
}

DescriptorChain::~DescriptorChain() { HEARTH_CHECK(!pending_); }

bool DescriptorChain::CopyOut(uint32_t offset, void* to, uint32_t size) const {
  if (!Fits(readable_bytes_, offset, size)) return false;
  auto* out = static_cast<uint8_t*>(to);
  VisitParts(readable(), offset, size, [&out](const uint8_t* part, uint64_t bytes) {
    std::memcpy(out, part, bytes);
    out += bytes;
  });
  return true;
}

bool DescriptorChain::CopyIn(uint32_t offset, const void* from, uint32_t size) const {
  if (!Fits(writable_bytes_, offset, size)) return false;
  const auto* in = static_cast<const uint8_t*>(from);
  VisitParts(writable(), offset, size, [&in](uint8_t* part, uint64_t bytes) {
    std::memcpy(part, in, bytes);
    in += bytes;
  });
  return true;
}

bool SliceVectors(absl::Span<const iovec> from, uint32_t offset, uint32_t size,
                  std::vector<iovec>* to) {
  uint64_t total = 0;
  for (const iovec& piece : from) total += piece.iov_len;
  if (!Fits(total, offset, size)) return false;
  VisitParts(from, offset, size, [to](uint8_t* part, uint64_t bytes) {
    to->push_back({part, bytes});
  });
  return true;
}

}  // namespace hearth::virtio
