// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/request.h"

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"

namespace hearth::virtio::block {
namespace {

constexpr uint32_t kHeaderBytes = sizeof(RequestHeader);

// No overflow, whatever the guest says.
bool InCapacity(uint64_t sector, uint64_t sector_count, uint64_t capacity) {
  return sector <= capacity && sector_count <= capacity - sector;
}

}  // namespace

bool Request::Parse(const RequestLimits& limits, RequestStatus* status) {
  data = {};
  data_bytes = 0;
  segments.clear();
  next_segment = 0;
  syncing = false;
  next = nullptr;
  if (chain.writable_bytes() == 0) return false;
  RequestHeader guest_header;
  if (!chain.CopyOut(0, &guest_header, kHeaderBytes)) {
    *status = RequestStatus::kIoError;
    return true;
  }
  type = guest_header.type;
  switch (type) {
    case kTypeIn:
    case kTypeOut:
      *status = ParseTransfer(limits, guest_header.sector);
      break;
    case kTypeFlush:
      *status = RequestStatus::kOk;
      break;
    case kTypeGetId:
      data_bytes = std::min(chain.writable_bytes() - 1, kDeviceIdBytes);
      *status = RequestStatus::kOk;
      break;
    case kTypeDiscard:
    case kTypeWriteZeroes:
      *status = ParseSegments(limits);
      break;
    default:
      *status = RequestStatus::kUnsupported;
  }
  return true;
}

RequestStatus Request::ParseTransfer(const RequestLimits& limits, uint64_t sector) {
  const bool is_read = type == kTypeIn;
  const uint32_t bytes =
      is_read ? chain.writable_bytes() - 1 : chain.readable_bytes() - kHeaderBytes;
  if (!is_read && limits.read_only) return RequestStatus::kIoError;
  if (bytes == 0 || bytes % limits.block_size != 0) return RequestStatus::kIoError;
  if (sector % (limits.block_size / kSectorBytes) != 0) return RequestStatus::kIoError;
  if (!InCapacity(sector, bytes / kSectorBytes, limits.capacity_sectors)) {
    return RequestStatus::kIoError;
  }
  offset = sector * kSectorBytes;
  data_bytes = bytes;
  // Most drivers give header and status buffers of their own.
  const absl::Span<const iovec> all = is_read ? chain.writable() : chain.readable();
  if (is_read && all.back().iov_len == 1) {
    data = all.first(all.size() - 1);
  } else if (!is_read && all.front().iov_len == kHeaderBytes) {
    data = all.subspan(1);
  } else {
    sliced_.clear();
    HEARTH_CHECK(SliceVectors(all, is_read ? 0 : kHeaderBytes, bytes, &sliced_));
    data = sliced_;
  }
  return RequestStatus::kOk;
}

RequestStatus Request::ParseSegments(const RequestLimits& limits) {
  const bool is_discard = type == kTypeDiscard;
  if (limits.read_only) return RequestStatus::kIoError;
  if (is_discard ? !limits.discard : !limits.write_zeroes) return RequestStatus::kUnsupported;
  const uint32_t bytes = chain.readable_bytes() - kHeaderBytes;
  const uint32_t count = bytes / sizeof(RangeSegment);
  if (bytes == 0 || bytes % sizeof(RangeSegment) != 0 || count > kMaxSegments) {
    return RequestStatus::kIoError;
  }
  segments.resize(count);
  HEARTH_CHECK(chain.CopyOut(kHeaderBytes, segments.data(), bytes));
  const uint32_t block_sectors = limits.block_size / kSectorBytes;
  for (const RangeSegment& segment : segments) {
    const uint32_t known = is_discard ? 0 : kRangeFlagUnmap;
    if ((segment.flags & ~known) != 0) return RequestStatus::kUnsupported;
    if (segment.sector_count > kMaxRangeSectors || segment.sector % block_sectors != 0 ||
        segment.sector_count % block_sectors != 0 ||
        !InCapacity(segment.sector, segment.sector_count, limits.capacity_sectors)) {
      return RequestStatus::kIoError;
    }
  }
  // Nothing to do for these, and fallocate(2) refuses them.
  segments.erase(std::remove_if(segments.begin(), segments.end(),
                                [](const RangeSegment& s) { return s.sector_count == 0; }),
                 segments.end());
  return RequestStatus::kOk;
}

void Request::Answer(RequestStatus status) {
  const auto byte = static_cast<uint8_t>(status);
  HEARTH_CHECK(chain.CopyIn(chain.writable_bytes() - 1, &byte, sizeof(byte)));
}

void Request::FillId(absl::string_view id) {
  char text[kDeviceIdBytes] = {};
  std::memcpy(text, id.data(), std::min<size_t>(id.size(), sizeof(text)));
  HEARTH_CHECK(chain.CopyIn(0, text, data_bytes));
}

}  // namespace hearth::virtio::block
