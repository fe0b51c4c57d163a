// SPDX-License-Identifier: Apache-2.0
// KvmList: the variable-length arguments of KVM (struct kvm_cpuid2, struct kvm_msrs): two words of
// header, then entries.
//
// <linux/kvm.h> cannot be used for them in C++: its flexible-array macro puts an empty struct in
// front of the entries, which takes room in C++, so that sizes, offsets and therefore the request
// numbers come out wrong. The layout and the requests here are those of the kernel's C.
#ifndef HEARTH_RUNTIME_HYPERVISOR_KVM_LIST_H_
#define HEARTH_RUNTIME_HYPERVISOR_KVM_LIST_H_

#include <linux/kvm.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/types/span.h"

namespace hearth {

struct KvmListHeader {
  uint32_t count;
  uint32_t padding;
};
static_assert(sizeof(KvmListHeader) == 8);

inline constexpr unsigned long kKvmGetSupportedCpuid = _IOWR(KVMIO, 0x05, KvmListHeader);
inline constexpr unsigned long kKvmSetMsrs = _IOW(KVMIO, 0x89, KvmListHeader);
inline constexpr unsigned long kKvmSetCpuid2 = _IOW(KVMIO, 0x90, KvmListHeader);

template <typename Entry>
class KvmList {
 public:
  // Zeroed entries for the kernel to fill.
  explicit KvmList(uint32_t count) : bytes_(sizeof(KvmListHeader) + count * sizeof(Entry)) {
    const KvmListHeader header = {.count = count, .padding = 0};
    std::memcpy(bytes_.data(), &header, sizeof(header));
  }
  explicit KvmList(absl::Span<const Entry> entries)
      : KvmList(static_cast<uint32_t>(entries.size())) {
    if (!entries.empty()) {
      std::memcpy(bytes_.data() + sizeof(KvmListHeader), entries.data(),
                  entries.size() * sizeof(Entry));
    }
  }

  // The ioctl's argument.
  void* arg() { return bytes_.data(); }

  // As many entries as the kernel says there are, but no more than there is room for.
  std::vector<Entry> Entries() const {
    KvmListHeader header;
    std::memcpy(&header, bytes_.data(), sizeof(header));
    const size_t room = (bytes_.size() - sizeof(KvmListHeader)) / sizeof(Entry);
    std::vector<Entry> entries(header.count < room ? header.count : room);
    if (!entries.empty()) {
      std::memcpy(entries.data(), bytes_.data() + sizeof(KvmListHeader),
                  entries.size() * sizeof(Entry));
    }
    return entries;
  }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_HYPERVISOR_KVM_LIST_H_
