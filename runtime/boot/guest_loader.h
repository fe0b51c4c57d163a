// SPDX-License-Identifier: Apache-2.0
// LoadGuest(): everything that must be in guest memory, and in the boot vCPU's registers, before
// the first instruction.
//
// Picks the way in by what the kernel file is: ELF by the 64-bit Linux boot protocol, or by PVH
// where the file has the note and the 64-bit entry cannot be had or PVH is asked for; bzImage with
// its payload decompressed on the host, else entered as it is. Zero copy wherever alignment allows
// (GuestMemory::MapFilePrivate). Sources: Linux Documentation "The Linux/x86 Boot Protocol",
// "x86/HVM direct boot ABI" (PVH), ACPI specification, MultiProcessor Specification 1.4. Where what
// lies in guest memory: layout.h.
#ifndef HEARTH_RUNTIME_BOOT_GUEST_LOADER_H_
#define HEARTH_RUNTIME_BOOT_GUEST_LOADER_H_

#include <linux/kvm.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/memory/guest_memory.h"

namespace hearth {

enum class BootProtocol { kAuto, kLinux64, kPvh };

// A virtio-mmio slot as firmware tables and the command line describe it.
struct MmioDeviceNode {
  uint64_t base;
  uint64_t size;
  uint32_t gsi;
};

struct GuestLoadOptions {
  std::string kernel_path;
  std::string initrd_path;  // "" for none
  std::string command_line;
  BootProtocol protocol = BootProtocol::kAuto;
  uint32_t vcpu_count = 1;
  std::vector<MmioDeviceNode> mmio_devices;  // ACPI nodes; the command line is the caller's
  bool acpi = true;                          // write RSDP, XSDT, FADT, MADT, DSDT
  bool mptable = true;                       // write an MP table too, for kernels without ACPI
};

struct GuestEntry {
  BootProtocol protocol;  // kLinux64 or kPvh
  // State of the boot vCPU: general registers whole; of the special registers segments, descriptor
  // tables, CR0, CR3, CR4 and EFER are set, the rest is kept as KVM gave it (pass what
  // KVM_GET_SREGS returned to SetSregs).
  kvm_regs regs;
  void SetSregs(kvm_sregs& sregs) const;
  uint64_t kernel_bytes_mapped = 0;  // shared with the page cache
  uint64_t kernel_bytes_copied = 0;
};

// Fails with an error that names the file, what is wrong with it and what to do; guest memory is
// then garbage and must not be run. Main thread, before vCPUs run, in memory that was not written
// yet: what must read zero is not zeroed again. System calls: openat, newfstatat, pread64, preadv,
// mmap, munmap, close; for a bzImage also memfd_create and ftruncate.
absl::StatusOr<GuestEntry> LoadGuest(GuestMemory& memory, const GuestLoadOptions& options);

}  // namespace hearth

#endif  // HEARTH_RUNTIME_BOOT_GUEST_LOADER_H_
