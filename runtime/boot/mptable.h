// SPDX-License-Identifier: Apache-2.0
// The MP table: processors and interrupt routing for kernels without ACPI.
//
// ISA interrupt n is on IOAPIC pin n, the timer on pin 0 too, as KVM's default routing has it (GSI
// n to pin n). Pins above 15 are listed as ISA interrupts as well, so that devices named on the
// kernel's command line get them. Source: MultiProcessor Specification 1.4, MP Configuration Table.
// Pure; any thread.
#ifndef HEARTH_RUNTIME_BOOT_MPTABLE_H_
#define HEARTH_RUNTIME_BOOT_MPTABLE_H_

#include <cstdint>
#include <string>

#include "runtime/memory/guest_address.h"

namespace hearth::boot {

// The floating pointer structure and the configuration table behind it, to be written to `base`:
// 16-byte aligned, and where kernels look (layout::kMpTable is).
std::string BuildMpTable(uint32_t vcpu_count, GuestAddress base);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_MPTABLE_H_
