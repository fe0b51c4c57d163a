// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/acpi_power.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(AcpiPowerTest, OnlyS5WithTheEnableBitPowersOff) {
  int calls = 0;
  AcpiPower power([&calls] { ++calls; });
  int expected = 0;
  for (int value = 0; value < 256; ++value) {
    const uint8_t byte = static_cast<uint8_t>(value);
    power.Write(0, absl::MakeSpan(&byte, 1));
    if ((value & 0x20) != 0 && ((value >> 2) & 7) == 5) ++expected;
    EXPECT_EQ(calls, expected) << value;
    power.Write(1, absl::MakeSpan(&byte, 1));  // the status register
    EXPECT_EQ(calls, expected) << value;
  }
  EXPECT_EQ(AcpiPower::kPowerOff, 0x34);
  EXPECT_EQ(power.metrics().power_offs, static_cast<uint64_t>(expected));
  EXPECT_GT(power.metrics().missed_writes, 0u);
}

TEST(AcpiPowerTest, AWideWriteCoversBothRegisters) {
  int calls = 0;
  AcpiPower power([&calls] { ++calls; });
  const uint8_t wide[2] = {AcpiPower::kPowerOff, 0xff};
  power.Write(0, wide);
  EXPECT_EQ(calls, 1);
}

TEST(AcpiPowerTest, ReadsAsZero) {
  AcpiPower power(nullptr);
  uint8_t data[2] = {0xff, 0xff};
  power.Read(0, absl::MakeSpan(data));
  EXPECT_EQ(data[0], 0);
  EXPECT_EQ(data[1], 0);
  const uint8_t off = AcpiPower::kPowerOff;
  power.Write(0, absl::MakeSpan(&off, 1));  // nobody listens
}

}  // namespace
}  // namespace hearth
