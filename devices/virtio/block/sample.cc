// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/sample.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "devices/virtio/block/block_device.h"

namespace hearth::virtio::block {
namespace {

constexpr off_t kSizeBytes = 1 << 20;

template <typename T>
std::string Bytes(const T& value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

std::string Header(uint32_t type, uint64_t sector) {
  return Bytes(RequestHeader{.type = type, .reserved = 0, .sector = sector});
}

class BlockSample final : public Sample {
 public:
  BlockSample() : file_(memfd_create("block-sample", MFD_CLOEXEC)) {
    HEARTH_CHECK(file_.valid() && ftruncate(file_.get(), kSizeBytes) == 0);
  }

  std::vector<Request> Requests() const override {
    const std::string sectors(2 * kSectorBytes, 'w');
    const std::string range = Bytes(RangeSegment{.sector = 8, .sector_count = 8, .flags = 0});
    return {
        {.queue = 0, .readable = Header(kTypeOut, 1) + sectors, .writable_bytes = 1},
        {.queue = 1, .readable = Header(kTypeIn, 1), .writable_bytes = 2 * kSectorBytes + 1},
        {.queue = 0, .readable = Header(kTypeFlush, 0), .writable_bytes = 1},
        {.queue = 1, .readable = Header(kTypeGetId, 0), .writable_bytes = kDeviceIdBytes + 1},
        {.queue = 0, .readable = Header(kTypeDiscard, 0) + range, .writable_bytes = 1},
        {.queue = 1, .readable = Header(kTypeWriteZeroes, 0) + range, .writable_bytes = 1},
        {.queue = 0, .readable = Header(99, 0), .writable_bytes = 1},
    };
  }

  std::unique_ptr<Device> Create(const DeviceContext& context) override {
    auto file = BackingFile::Open("/proc/self/fd/" + std::to_string(file_.get()), {});
    HEARTH_CHECK(file.ok());
    std::unique_ptr<Engine> engine;
    if (context.loop->ring() != nullptr) {
      engine = std::make_unique<RingEngine>(context.loop->ring());
    } else {
      engine = std::make_unique<SyncEngine>();
    }
    BlockOptions options;
    options.path = "drives/sample";
    options.queues = 2;
    options.queue_size = 64;
    return std::make_unique<BlockDevice>(std::move(options), *std::move(file), std::move(engine),
                                         context);
  }

 private:
  const base::UniqueFd file_;
};

}  // namespace

std::unique_ptr<Sample> MakeSample() { return std::make_unique<BlockSample>(); }

}  // namespace hearth::virtio::block
