// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/acpi_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AcpiInput Machine(uint32_t vcpus, uint32_t devices) {
  AcpiInput input{.vcpu_count = vcpus, .mmio_devices = {}};
  for (uint32_t i = 0; i < devices; ++i) {
    input.mmio_devices.push_back({0xd0000000 + i * 0x1000ull, 0x1000, 5 + i % 19});
  }
  return input;
}

uint32_t LengthOf(absl::string_view table) { return *ReadFrom<uint32_t>(table, 4); }

// Every table by its signature, as a kernel finds them: from the RSDP on.
std::map<std::string, std::string> Walk(const std::string& blob, GuestAddress base) {
  std::map<std::string, std::string> tables;
  EXPECT_EQ(blob.substr(0, 8), "RSD PTR ");
  EXPECT_EQ(ChecksumOf(absl::string_view(blob).substr(0, 20)), 0);
  EXPECT_EQ(ChecksumOf(absl::string_view(blob).substr(0, 36)), 0);
  const auto table_at = [&](uint64_t gpa) {
    const std::string from = blob.substr(gpa - base.value());
    const std::string table = from.substr(0, LengthOf(from));
    EXPECT_EQ(table.size(), LengthOf(from));
    EXPECT_EQ(ChecksumOf(table), 0) << table.substr(0, 4);
    EXPECT_EQ(gpa % 16, 0u);
    tables[table.substr(0, 4)] = table;
    return table;
  };
  const std::string xsdt = table_at(*ReadFrom<uint64_t>(blob, 24));
  for (uint64_t at = 36; at < xsdt.size(); at += 8) table_at(*ReadFrom<uint64_t>(xsdt, at));
  table_at(*ReadFrom<uint64_t>(tables["FACP"], 140));
  return tables;
}

TEST(AcpiTables, FormAWalkableTreeThatFitsItsPlace) {
  const std::string blob = BuildAcpiTables(Machine(64, 100), layout::kAcpi);
  EXPECT_LE(blob.size(), layout::kAcpiEnd - layout::kAcpi);
  const auto tables = Walk(blob, layout::kAcpi);
  EXPECT_EQ(tables.size(), 4u);
  for (const char* signature : {"XSDT", "FACP", "APIC", "DSDT"}) {
    EXPECT_EQ(tables.count(signature), 1u);
  }
}

TEST(AcpiTables, MadtListsEveryProcessorAndTheIoApic) {
  const std::string madt = BuildMadt(Machine(3, 0));
  EXPECT_EQ(*ReadFrom<uint32_t>(madt, 36), layout::kLocalApicBase);
  std::vector<int> types;
  for (uint64_t at = 44; at < madt.size(); at += static_cast<uint8_t>(madt[at + 1])) {
    types.push_back(madt[at]);
  }
  EXPECT_EQ(types, (std::vector<int>{0, 0, 0, 1, 4}));
  EXPECT_EQ(madt[44 + 8 + 3], 1) << "the APIC id of vCPU 1";
  EXPECT_EQ(*ReadFrom<uint32_t>(madt, 44 + 24 + 4), layout::kIoApicBase);
}

TEST(AcpiTables, FadtIsHardwareReducedAndKnowsHowToStop) {
  const std::string fadt = BuildFadt(GuestAddress(0x1234));
  EXPECT_EQ(fadt.size(), 276u);
  EXPECT_EQ(*ReadFrom<uint16_t>(fadt, 109), 0x27) << "legacy devices, 8042, no VGA, no CMOS RTC";
  EXPECT_EQ(*ReadFrom<uint32_t>(fadt, 112), 0x100431u);
  EXPECT_EQ(*ReadFrom<uint64_t>(fadt, 120), 0x64u);
  EXPECT_EQ(static_cast<uint8_t>(fadt[128]), 0xfe);
  EXPECT_EQ(*ReadFrom<uint64_t>(fadt, 140), 0x1234u);
  EXPECT_EQ(*ReadFrom<uint64_t>(fadt, 248), 0x600u);
  EXPECT_EQ(*ReadFrom<uint64_t>(fadt, 260), 0x601u);
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// iasl, ACPICA's own compiler, must read what we wrote and find no fault; Linux interprets with the
// same code.
TEST(AcpiTables, IaslDisassemblesAndCompilesThem) {
  if (access("/usr/bin/iasl", X_OK) != 0) {
    GTEST_SKIP() << "skipped, because iasl (package acpica-tools) is not installed";
  }
  const std::string folder = ::testing::TempDir();
  const auto tables = Walk(BuildAcpiTables(Machine(2, 3), layout::kAcpi), layout::kAcpi);
  for (const auto& [signature, table] : tables) {
    const std::string path = folder + "/" + signature;
    std::ofstream(path + ".aml", std::ios::binary) << table;
    const std::string disassemble =
        "/usr/bin/iasl -d " + path + ".aml > " + path + ".log 2>&1 < /dev/null";
    ASSERT_EQ(std::system(disassemble.c_str()), 0) << ReadAll(path + ".log");
    for (const char* complaint : {"Error", "Warning", "Invalid"}) {
      EXPECT_THAT(ReadAll(path + ".log"), Not(HasSubstr(complaint))) << signature;
    }
    const std::string compile =
        "/usr/bin/iasl -p " + path + "2 " + path + ".dsl > " + path + ".log 2>&1 < /dev/null";
    EXPECT_EQ(std::system(compile.c_str()), 0) << ReadAll(path + ".log");
    EXPECT_THAT(ReadAll(path + ".log"), HasSubstr(" 0 Errors, 0 Warnings")) << signature;
  }
  const std::string dsdt = ReadAll(folder + "/DSDT.dsl");
  for (const char* expected :
       {"Device (COM1)", "EisaId (\"PNP0501\")", "Device (KBD)", "EisaId (\"PNP0303\")",
        "Device (V002)", "\"LNRO0005\"", "0xD0002000,         // Address Base",
        "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive", "0x00000007,",
        "Name (\\_S5, Package"}) {
    EXPECT_THAT(dsdt, HasSubstr(expected));
  }
  EXPECT_THAT(ReadAll(folder + "/FACP.dsl"), HasSubstr("Hardware Reduced (V5) : 1"));
}

}  // namespace
}  // namespace hearth::boot
