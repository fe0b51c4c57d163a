// SPDX-License-Identifier: Apache-2.0
// The bytes as the specification's grammar gives them; that iasl agrees is acpi_tables_test's part.
#include "runtime/boot/aml.h"

#include <gtest/gtest.h>

namespace hearth::aml {
namespace {

std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

TEST(Aml, IntegersAreAsShortAsCanBe) {
  EXPECT_EQ(Integer(0), Bytes({0x00}));
  EXPECT_EQ(Integer(1), Bytes({0x01}));
  EXPECT_EQ(Integer(2), Bytes({0x0a, 2}));
  EXPECT_EQ(Integer(0xff), Bytes({0x0a, 0xff}));
  EXPECT_EQ(Integer(0x100), Bytes({0x0b, 0x00, 0x01}));
  EXPECT_EQ(Integer(0x10000), Bytes({0x0c, 0, 0, 1, 0}));
  EXPECT_EQ(Integer(0x100000000), Bytes({0x0e, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Aml, NamesArePaddedAndRooted) {
  EXPECT_EQ(Name("_S5", Integer(0)), Bytes({0x08, '_', 'S', '5', '_', 0x00}));
  EXPECT_EQ(Scope("\\_SB", {}), Bytes({0x10, 6, '\\', '_', 'S', 'B', '_'}));
  EXPECT_EQ(Device("COM1", {}), Bytes({0x5b, 0x82, 5, 'C', 'O', 'M', '1'}));
}

TEST(Aml, EisaIdIsPackedBigEndian) {
  EXPECT_EQ(EisaId("PNP0501"), Bytes({0x0c, 0x41, 0xd0, 0x05, 0x01}));
}

TEST(Aml, PackageLengthGrowsWithItsContent) {
  // One byte counts up to 63, itself included.
  EXPECT_EQ(Scope("A", {std::string(58, 'x')}).substr(0, 2), Bytes({0x10, 63}));
  EXPECT_EQ(Scope("A", {std::string(59, 'x')}).substr(0, 3), Bytes({0x10, 0x41, 0x04}));  // 65
  EXPECT_EQ(Scope("A", {std::string(4089, 'x')}).substr(0, 3), Bytes({0x10, 0x4f, 0xff}));
  EXPECT_EQ(Scope("A", {std::string(4090, 'x')}).substr(0, 4), Bytes({0x10, 0x81, 0x00, 0x01}));
}

TEST(Aml, ResourcesEndWithTheEndTag) {
  EXPECT_EQ(ResourceTemplate({IoPorts(0x3f8, 8)}),
            Bytes({0x11, 13, 0x0a, 10, 0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 1, 8, 0x79, 0}));
  EXPECT_EQ(Memory32Fixed(0xd0000000, 0x1000),
            Bytes({0x86, 9, 0, 1, 0, 0, 0, 0xd0, 0, 0x10, 0, 0}));
  EXPECT_EQ(Interrupt(5), Bytes({0x89, 6, 0, 3, 1, 5, 0, 0, 0}));
}

TEST(AmlDeathTest, BadNamesAreOurMistake) {
  EXPECT_DEATH(Device("TOOLONG", {}), "");
  EXPECT_DEATH(Device("com1", {}), "");
  EXPECT_DEATH(Device("1COM", {}), "");
}

}  // namespace
}  // namespace hearth::aml
