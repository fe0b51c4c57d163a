// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/acpi_tables.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "runtime/boot/aml.h"
#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

constexpr absl::string_view kOemId("HEARTH", 6);
constexpr absl::string_view kOemTableId("HEARTHVM", 8);
constexpr absl::string_view kCreatorId("HRTH", 4);

template <size_t N>
std::array<char, N> Chars(absl::string_view text) {
  std::array<char, N> chars{};
  std::copy_n(text.begin(), std::min(N, text.size()), chars.begin());
  return chars;
}

struct __attribute__((packed)) TableHeader {
  std::array<char, 4> signature;
  uint32_t length;
  uint8_t revision;
  uint8_t checksum;
  std::array<char, 6> oem_id;
  std::array<char, 8> oem_table_id;
  uint32_t oem_revision;
  std::array<char, 4> creator_id;
  uint32_t creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

// Generic Address Structure.
struct __attribute__((packed)) GenericAddress {
  uint8_t space;
  uint8_t bit_width;
  uint8_t bit_offset;
  uint8_t access_size;
  uint64_t address;
};

constexpr GenericAddress BytePort(uint16_t port) {
  constexpr uint8_t kSystemIo = 1;
  constexpr uint8_t kByteAccess = 1;
  return {kSystemIo, 8, 0, kByteAccess, port};
}

// After the header. What hardware-reduced platforms do not have is in the zero_ fields.
struct __attribute__((packed)) FadtBody {
  uint32_t firmware_ctrl = 0;
  uint32_t dsdt = 0;  // x_dsdt counts
  std::array<uint8_t, 65> zero_fixed_hardware{};
  uint16_t iapc_boot_arch = 0;
  uint8_t reserved = 0;
  uint32_t flags = 0;
  GenericAddress reset_reg{};
  uint8_t reset_value = 0;
  uint16_t arm_boot_arch = 0;
  uint8_t minor_version = 0;
  uint64_t x_firmware_ctrl = 0;
  uint64_t x_dsdt = 0;
  std::array<GenericAddress, 8> zero_x_blocks{};
  GenericAddress sleep_control_reg{};
  GenericAddress sleep_status_reg{};
  std::array<char, 8> hypervisor_vendor{};
};
static_assert(sizeof(TableHeader) + sizeof(FadtBody) == 276);
static_assert(sizeof(TableHeader) + offsetof(FadtBody, iapc_boot_arch) == 109);
static_assert(sizeof(TableHeader) + offsetof(FadtBody, sleep_control_reg) == 244);

constexpr uint16_t kBootArchLegacyDevices = 1 << 0;  // the serial port is one
constexpr uint16_t kBootArch8042 = 1 << 1;
constexpr uint16_t kBootArchNoVga = 1 << 2;
constexpr uint16_t kBootArchNoCmosRtc = 1 << 5;

constexpr uint32_t kFadtWbinvd = 1 << 0;
constexpr uint32_t kFadtNoFixedPowerButton = 1 << 4;
constexpr uint32_t kFadtNoFixedSleepButton = 1 << 5;
constexpr uint32_t kFadtResetRegister = 1 << 10;
constexpr uint32_t kFadtHardwareReduced = 1 << 20;

struct __attribute__((packed)) MadtLocalApic {
  uint8_t type = 0;
  uint8_t length = sizeof(MadtLocalApic);
  uint8_t processor_uid;
  uint8_t apic_id;
  uint32_t flags = 1;  // enabled
};
struct __attribute__((packed)) MadtIoApic {
  uint8_t type = 1;
  uint8_t length = sizeof(MadtIoApic);
  uint8_t id;
  uint8_t reserved = 0;
  uint32_t address = layout::kIoApicBase;
  uint32_t first_gsi = 0;
};
struct __attribute__((packed)) MadtLocalApicNmi {
  uint8_t type = 4;
  uint8_t length = sizeof(MadtLocalApicNmi);
  uint8_t processor_uid = 0xff;  // all
  uint16_t flags = 0;
  uint8_t lint = 1;
};
static_assert(sizeof(MadtLocalApic) == 8 && sizeof(MadtIoApic) == 12 &&
              sizeof(MadtLocalApicNmi) == 6);

struct __attribute__((packed)) Rsdp {
  std::array<char, 8> signature = Chars<8>("RSD PTR ");
  uint8_t checksum = 0;  // of what ACPI 1.0 knows: up to rsdt
  std::array<char, 6> oem_id = Chars<6>(kOemId);
  uint8_t revision = 2;
  uint32_t rsdt = 0;
  uint32_t length = sizeof(Rsdp);
  uint64_t xsdt = 0;
  uint8_t extended_checksum = 0;
  std::array<uint8_t, 3> reserved{};
};
static_assert(sizeof(Rsdp) == 36);

std::string Table(absl::string_view signature, uint8_t revision, absl::string_view body) {
  const TableHeader header{
      .signature = Chars<4>(signature),
      .length = static_cast<uint32_t>(sizeof(TableHeader) + body.size()),
      .revision = revision,
      .checksum = 0,
      .oem_id = Chars<6>(kOemId),
      .oem_table_id = Chars<8>(kOemTableId),
      .oem_revision = 1,
      .creator_id = Chars<4>(kCreatorId),
      .creator_revision = 1,
  };
  std::string table = absl::StrCat(BytesOf(header), body);
  table[offsetof(TableHeader, checksum)] = static_cast<char>(ChecksumOf(table));
  return table;
}

std::string VirtioMmioNode(size_t index, const MmioDeviceNode& node) {
  HEARTH_CHECK(node.base + node.size <= kMmioHoleEnd.value() && node.gsi < layout::kIoApicPins);
  return aml::Device(
      absl::StrFormat("V%03X", index),
      {aml::Name("_HID", aml::String("LNRO0005")), aml::Name("_UID", aml::Integer(index)),
       aml::Name("_CRS",
                 aml::ResourceTemplate({aml::Memory32Fixed(static_cast<uint32_t>(node.base),
                                                           static_cast<uint32_t>(node.size)),
                                        aml::Interrupt(node.gsi)}))});
}

}  // namespace

std::string BuildDsdt(const AcpiInput& input) {
  aml::Terms devices = {
      aml::Device("COM1",
                  {aml::Name("_HID", aml::EisaId("PNP0501")), aml::Name("_UID", aml::Integer(0)),
                   aml::Name("_CRS", aml::ResourceTemplate({aml::IoPorts(layout::kSerialPort, 8),
                                                            aml::Interrupt(layout::kSerialGsi)}))}),
      aml::Device(
          "KBD",
          {aml::Name("_HID", aml::EisaId("PNP0303")),
           aml::Name("_CRS", aml::ResourceTemplate({aml::IoPorts(layout::kI8042DataPort, 1),
                                                    aml::IoPorts(layout::kI8042CommandPort, 1),
                                                    aml::Interrupt(layout::kI8042Gsi)}))}),
  };
  for (size_t i = 0; i < input.mmio_devices.size(); ++i) {
    devices.push_back(VirtioMmioNode(i, input.mmio_devices[i]));
  }
  // Revision 2: integers have 64 bits.
  return Table(
      "DSDT", 2,
      aml::Scope("\\_SB", devices) +
          aml::Name("\\_S5", aml::Package({aml::Integer(layout::kSleepTypeS5), aml::Integer(0),
                                           aml::Integer(0), aml::Integer(0)})));
}

std::string BuildMadt(const AcpiInput& input) {
  HEARTH_CHECK(input.vcpu_count >= 1 && input.vcpu_count <= layout::kMaxVcpus);
  constexpr uint32_t kFlags = 0;  // PCAT_COMPAT clear: nobody need mask 8259s
  std::string body = BytesOf(layout::kLocalApicBase) + BytesOf(kFlags);
  for (uint32_t i = 0; i < input.vcpu_count; ++i) {
    const auto id = static_cast<uint8_t>(i);
    body += BytesOf(MadtLocalApic{.processor_uid = id, .apic_id = id});
  }
  body += BytesOf(MadtIoApic{.id = static_cast<uint8_t>(input.vcpu_count)});
  body += BytesOf(MadtLocalApicNmi{});
  return Table("APIC", 5, body);
}

std::string BuildFadt(GuestAddress dsdt) {
  const FadtBody body{
      .iapc_boot_arch =
          kBootArchLegacyDevices | kBootArch8042 | kBootArchNoVga | kBootArchNoCmosRtc,
      .flags = kFadtWbinvd | kFadtNoFixedPowerButton | kFadtNoFixedSleepButton |
               kFadtResetRegister | kFadtHardwareReduced,
      .reset_reg = BytePort(layout::kI8042CommandPort),
      .reset_value = layout::kI8042ResetCommand,
      .x_dsdt = dsdt.value(),
      .sleep_control_reg = BytePort(layout::kSleepControlPort),
      .sleep_status_reg = BytePort(layout::kSleepStatusPort),
      .hypervisor_vendor = Chars<8>("HEARTH"),
  };
  return Table("FACP", 6, BytesOf(body));
}

std::string BuildXsdt(const std::vector<GuestAddress>& tables) {
  std::string body;
  for (const GuestAddress table : tables) body += BytesOf(table.value());
  return Table("XSDT", 1, body);
}

std::string BuildRsdp(GuestAddress xsdt) {
  Rsdp rsdp{.xsdt = xsdt.value()};
  rsdp.checksum = ChecksumOf(BytesOf(rsdp).substr(0, offsetof(Rsdp, length)));
  rsdp.extended_checksum = ChecksumOf(BytesOf(rsdp));
  return BytesOf(rsdp);
}

std::string BuildAcpiTables(const AcpiInput& input, GuestAddress base) {
  // Behind the RSDP, whose size is known: whatever is pointed to comes before what points to it.
  std::string tables;
  const GuestAddress first = base + AlignUp(sizeof(Rsdp), 16);
  const auto place = [&](const std::string& table) {
    const GuestAddress at = first + tables.size();
    tables += table;
    tables.resize(AlignUp(tables.size(), 16));
    return at;
  };
  const GuestAddress dsdt = place(BuildDsdt(input));
  const GuestAddress fadt = place(BuildFadt(dsdt));
  const GuestAddress madt = place(BuildMadt(input));
  const GuestAddress xsdt = place(BuildXsdt({fadt, madt}));
  std::string rsdp = BuildRsdp(xsdt);
  rsdp.resize(first - base);
  return rsdp + tables;
}

}  // namespace hearth::boot
