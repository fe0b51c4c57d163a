// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/module.h"

#include "devices/virtio/block/drive_family.h"
#include "devices/virtio/block/protocol.h"

namespace hearth::virtio::block {
namespace {

// What the Async engine does in the ring is io_uring_enter(2), which the loop has. A file is opened
// and closed by the main thread, also when it is changed later.
constexpr SystemCall kSystemCalls[] = {
    {"preadv2", "reads of the Sync engine, and of the Async engine from the page cache"},
    {"pwritev2", "writes of the Sync engine, and of the Async engine to the page cache"},
    {"getrusage", "whether a write to the page cache has waited"},
    {"fdatasync", "flushes of the Sync engine"},
    {"fallocate", "discards and zeroing of the Sync engine"},
};

std::unique_ptr<DeviceFamily> CreateFamily() { return std::make_unique<DriveFamily>(); }

}  // namespace

constinit const DeviceModule kModule = {
    .name = "block",
    .virtio_id = kVirtioId,
    .create_family = &CreateFamily,
    .system_calls = kSystemCalls,
};

}  // namespace hearth::virtio::block
