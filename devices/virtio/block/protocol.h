// SPDX-License-Identifier: Apache-2.0
// What a driver and a block device agree on. Little endian throughout.
// Source: virtio 1.2, "Block Device".
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_PROTOCOL_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_PROTOCOL_H_

#include <cstdint>

namespace hearth::virtio::block {

inline constexpr uint32_t kVirtioId = 2;

// The unit of every sector number and count, whatever the block size.
inline constexpr uint32_t kSectorBytes = 512;

// "Feature bits".
inline constexpr uint64_t kFeatureSegMax = 1ull << 2;
inline constexpr uint64_t kFeatureReadOnly = 1ull << 5;
inline constexpr uint64_t kFeatureBlkSize = 1ull << 6;
inline constexpr uint64_t kFeatureFlush = 1ull << 9;
inline constexpr uint64_t kFeatureTopology = 1ull << 10;
inline constexpr uint64_t kFeatureConfigWce = 1ull << 11;
inline constexpr uint64_t kFeatureMq = 1ull << 12;
inline constexpr uint64_t kFeatureDiscard = 1ull << 13;
inline constexpr uint64_t kFeatureWriteZeroes = 1ull << 14;

// "Device configuration layout": offsets of the fields in struct virtio_blk_config.
enum ConfigOffset : uint32_t {
  kConfigCapacity = 0,           // u64, sectors
  kConfigSegMax = 12,            // u32
  kConfigBlkSize = 20,           // u32
  kConfigPhysicalBlockExp = 24,  // u8
  kConfigAlignmentOffset = 25,   // u8
  kConfigMinIoSize = 26,         // u16, blocks
  kConfigOptIoSize = 28,         // u32, blocks
  kConfigWriteback = 32,         // u8
  kConfigNumQueues = 34,         // u16
  kConfigMaxDiscardSectors = 36,
  kConfigMaxDiscardSeg = 40,
  kConfigDiscardSectorAlignment = 44,
  kConfigMaxWriteZeroesSectors = 48,
  kConfigMaxWriteZeroesSeg = 52,
  kConfigWriteZeroesMayUnmap = 56,  // u8
  kConfigSize = 60,
};

// "Device Operation": a request is a header (device-readable), data in the direction of the
// request's type, and one byte of status, which is the last device-writable byte. How these are cut
// into descriptors is up to the driver ("Message Framing").
struct RequestHeader {
  uint32_t type;
  uint32_t reserved;
  uint64_t sector;
};
static_assert(sizeof(RequestHeader) == 16);

enum RequestType : uint32_t {
  kTypeIn = 0,
  kTypeOut = 1,
  kTypeFlush = 4,
  kTypeGetId = 8,
  kTypeDiscard = 11,
  kTypeWriteZeroes = 13,
};

enum class RequestStatus : uint8_t { kOk = 0, kIoError = 1, kUnsupported = 2 };

// The data of a DISCARD or WRITE_ZEROES request is an array of these.
struct RangeSegment {
  uint64_t sector;
  uint32_t sector_count;
  uint32_t flags;
};
static_assert(sizeof(RangeSegment) == 16);
inline constexpr uint32_t kRangeFlagUnmap = 1;

// Of a GET_ID request's data. A shorter id ends with a NUL.
inline constexpr uint32_t kDeviceIdBytes = 20;

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_PROTOCOL_H_
