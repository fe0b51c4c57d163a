// SPDX-License-Identifier: Apache-2.0
// Request: one request of the driver, from its chain to its status byte, and the I/O in between.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_REQUEST_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_REQUEST_H_

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/event_loop.h"
#include "devices/virtio/block/io.h"
#include "devices/virtio/block/protocol.h"
#include "devices/virtio/core/descriptor_chain.h"

namespace hearth::virtio::block {

// What a driver may ask of this device.
struct RequestLimits {
  uint64_t capacity_sectors = 0;
  uint32_t block_size = kSectorBytes;
  bool read_only = false;
  // Was the feature negotiated?
  bool discard = false;
  bool write_zeroes = false;
};

// How many segments one DISCARD or WRITE_ZEROES may have, and how many sectors each.
inline constexpr uint32_t kMaxSegments = 16;
inline constexpr uint32_t kMaxRangeSectors = (2u << 30) / kSectorBytes;

// Requests are kept and used again, so that a device in its stride allocates nothing.
struct Request final : public Io {
  explicit Request(Io::Owner* owner) : Io(owner) {}

  // Reads the chain, once: header, bounds, segments. kOk: the request can be carried out. Anything
  // else is its answer. False: there is no room for an answer.
  [[nodiscard]] bool Parse(const RequestLimits& limits, RequestStatus* status);
  // Writes the status byte.
  void Answer(RequestStatus status);
  // Fills a GET_ID request's data.
  void FillId(absl::string_view id);
  bool is_transfer() const { return type == kTypeIn || type == kTypeOut; }
  uint64_t end() const { return offset + data_bytes; }

  DescriptorChain chain;
  uint16_t queue = 0;

  // Of the last Parse().
  uint32_t type = 0;
  uint64_t offset = 0;                 // bytes; transfers
  absl::Span<const iovec> data;        // transfers
  uint32_t data_bytes = 0;             // transfers and GET_ID
  std::vector<RangeSegment> segments;  // DISCARD, WRITE_ZEROES; bounds checked

  // The device's.
  size_t next_segment = 0;
  bool syncing = false;       // its write is done, the fdatasync that makes it last is not
  Request* next = nullptr;    // in the free list, or in a merged transfer
  std::vector<iovec> merged;  // the buffers of a merged transfer, in its first request
  base::MonotonicTime started;

 private:
  RequestStatus ParseTransfer(const RequestLimits& limits, uint64_t sector);
  RequestStatus ParseSegments(const RequestLimits& limits);

  std::vector<iovec> sliced_;  // holds `data` where header, data and status share buffers
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_REQUEST_H_
