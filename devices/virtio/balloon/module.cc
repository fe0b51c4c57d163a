// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/module.h"

#include "devices/virtio/balloon/balloon_family.h"

namespace hearth::virtio::balloon {
namespace {

// What GuestMemory::Discard() does. Each backing of guest memory needs only some of them.
constexpr SystemCall kSystemCalls[] = {
    {"madvise",
     "MADV_DONTNEED gives private pages back; MADV_HUGEPAGE for what mmap has put there"},
    {"fallocate", "FALLOC_FL_PUNCH_HOLE gives pages of a memfd back"},
    {"mmap", "anonymous pages in the place of the kernel's and initrd's private file mappings"},
    {"prctl",
     "PR_SET_VMA names what mmap has put there, so that the kernel joins it with the rest"},
    {"mincore", "a hugetlbfs page that is not there needs no clearing"},
};

std::unique_ptr<DeviceFamily> CreateFamily() { return std::make_unique<BalloonFamily>(); }

}  // namespace

constinit const DeviceModule kModule = {
    .name = "balloon",
    .virtio_id = kVirtioId,
    .create_family = &CreateFamily,
    .system_calls = kSystemCalls,
};

}  // namespace hearth::virtio::balloon
