// SPDX-License-Identifier: Apache-2.0
// A builder of ACPI Machine Language: each function returns the bytes of one term, and terms nest.
//
//   aml::Device("COM1", {aml::Name("_HID", aml::EisaId("PNP0501")), aml::Name("_UID",
//   aml::Integer(0))})
//
// Only what a static DSDT needs: names, integers, strings, packages, buffers of resources; no
// methods. Source: ACPI specification, ACPI Machine Language (AML) Specification, and Resource Data
// Types for ACPI. Pure; any thread. Names that break the grammar are our own mistake and abort.
#ifndef HEARTH_RUNTIME_BOOT_AML_H_
#define HEARTH_RUNTIME_BOOT_AML_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hearth::aml {

using Terms = std::vector<std::string>;

// In the shortest form.
std::string Integer(uint64_t value);
std::string String(absl::string_view text);
// The 32-bit form of a PNP id: three capital letters and four hexadecimal digits.
std::string EisaId(absl::string_view id);
// Up to 255 elements.
std::string Package(const Terms& elements);

// `name` is one segment of up to four characters ("_HID"), or one from the root ("\\_SB").
std::string Name(absl::string_view name, absl::string_view value);
std::string Scope(absl::string_view name, const Terms& terms);
std::string Device(absl::string_view name, const Terms& terms);

// A buffer of resource descriptors, for _CRS.
std::string ResourceTemplate(const Terms& descriptors);
std::string IoPorts(uint16_t base, uint8_t count);
std::string Memory32Fixed(uint32_t base, uint32_t size);
// An edge-triggered, active-high, exclusive global system interrupt.
std::string Interrupt(uint32_t gsi);

}  // namespace hearth::aml

#endif  // HEARTH_RUNTIME_BOOT_AML_H_
