// SPDX-License-Identifier: Apache-2.0
// The ACPI tables of a Hearth machine: RSDP, XSDT, FADT, MADT and DSDT.
//
// The platform is hardware-reduced: no PM timer, no PM1 event and control blocks, no SCI, no legacy
// PIC or PIT in use. What the guest can do through it:
//   power off   SLP_TYP 5 with SLP_EN to the sleep control register, layout::kSleepControlPort
//   reset       layout::kI8042ResetCommand to layout::kI8042CommandPort (the FADT's reset register)
// Interrupts are edge-triggered, active-high, global system interrupt n on IOAPIC pin n, as KVM
// routes them by default; no source override, not for the timer either. A hardware-reduced Linux
// numbers its interrupts on demand, so the devices' lines are theirs by _CRS only: a guest with
// ACPI needs the PNP glue of its drivers (CONFIG_SERIAL_8250_PNP), and virtio_mmio.device= on its
// command line does not get an interrupt. Source: ACPI specification 6.4, ACPI Software Programming
// Model, and Hardware-Reduced ACPI. Pure; any thread.
#ifndef HEARTH_RUNTIME_BOOT_ACPI_TABLES_H_
#define HEARTH_RUNTIME_BOOT_ACPI_TABLES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/boot/guest_loader.h"
#include "runtime/memory/guest_address.h"

namespace hearth::boot {

struct AcpiInput {
  uint32_t vcpu_count;  // 1 to layout::kMaxVcpus; vCPU i has APIC id i
  std::vector<MmioDeviceNode>
      mmio_devices;  // below 4 GiB; one LNRO0005 node each, _UID is the index
};

// Each table whole, checksum included.
std::string BuildDsdt(const AcpiInput& input);
std::string BuildMadt(const AcpiInput& input);
std::string BuildFadt(GuestAddress dsdt);
std::string BuildXsdt(const std::vector<GuestAddress>& tables);
std::string BuildRsdp(GuestAddress xsdt);

// All of them, to be written to `base` (16-byte aligned), where the RSDP comes to lie.
std::string BuildAcpiTables(const AcpiInput& input, GuestAddress base);

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_ACPI_TABLES_H_
