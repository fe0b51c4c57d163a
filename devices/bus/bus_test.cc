// SPDX-License-Identifier: Apache-2.0
#include "devices/bus/bus.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace hearth {
namespace {

class Recorder final : public BusDevice {
 public:
  explicit Recorder(std::string name) : name_(std::move(name)) {}
  absl::string_view name() const override { return name_; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override {
    accesses.emplace_back(offset, data.size());
    for (uint8_t& byte : data) byte = 0x11;
  }
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override {
    accesses.emplace_back(offset, data.size());
  }
  std::vector<std::pair<uint64_t, size_t>> accesses;

 private:
  std::string name_;
};

using Accesses = std::vector<std::pair<uint64_t, size_t>>;

TEST(BusTest, AnEmptyBusReadsOnes) {
  const Bus bus;
  uint8_t data[4] = {};
  EXPECT_FALSE(bus.Read(0, absl::MakeSpan(data)));
  for (const uint8_t byte : data) EXPECT_EQ(byte, 0xff);
  EXPECT_FALSE(bus.Write(~uint64_t{0}, data));
}

TEST(BusTest, FindsTheDeviceAndPassesTheOffset) {
  Recorder low("low"), high("high");
  Bus::Builder builder;
  ASSERT_TRUE(builder.Add(0x2000, 0x10, &high).ok());  // added out of order
  ASSERT_TRUE(builder.Add(0x1000, 0x10, &low).ok());
  const Bus bus = std::move(builder).Build();
  uint8_t data[8] = {};
  EXPECT_TRUE(bus.Read(0x1000, absl::MakeSpan(data, 1)));
  EXPECT_EQ(data[0], 0x11);
  EXPECT_TRUE(bus.Write(0x100c, absl::MakeSpan(data, 4)));
  EXPECT_TRUE(bus.Read(0x2008, absl::MakeSpan(data, 8)));
  EXPECT_EQ(low.accesses, (Accesses{{0, 1}, {12, 4}}));
  EXPECT_EQ(high.accesses, (Accesses{{8, 8}}));
}

TEST(BusTest, AnAccessThatLeavesTheRangeMeetsNobody) {
  Recorder a("a"), b("b");
  Bus::Builder builder;
  ASSERT_TRUE(builder.Add(0x1000, 0x10, &a).ok());
  ASSERT_TRUE(builder.Add(0x1010, 0x10, &b).ok());  // adjacent is not overlapping
  const Bus bus = std::move(builder).Build();
  uint8_t data[8] = {};
  EXPECT_FALSE(bus.Read(0xfff, absl::MakeSpan(data, 2)));
  EXPECT_FALSE(bus.Read(0x100f, absl::MakeSpan(data, 2)));  // spans two devices
  EXPECT_EQ(data[0], 0xff);
  EXPECT_FALSE(bus.Write(0x101d, absl::MakeSpan(data, 4)));
  EXPECT_FALSE(bus.Write(0x1020, absl::MakeSpan(data, 1)));
  EXPECT_TRUE(a.accesses.empty());
  EXPECT_TRUE(b.accesses.empty());
}

TEST(BusTest, TheLastAddressIsUsable) {
  Recorder top("top");
  Bus::Builder builder;
  ASSERT_TRUE(builder.Add(~uint64_t{0} - 3, 4, &top).ok());
  const Bus bus = std::move(builder).Build();
  uint8_t data[8] = {};
  EXPECT_TRUE(bus.Read(~uint64_t{0}, absl::MakeSpan(data, 1)));
  EXPECT_TRUE(bus.Read(~uint64_t{0} - 3, absl::MakeSpan(data, 4)));
  EXPECT_FALSE(bus.Read(~uint64_t{0}, absl::MakeSpan(data, 8)));  // would wrap
}

TEST(BusTest, RefusesEmptyWrappingAndOverlappingRanges) {
  Recorder a("serial"), b("i8042");
  Bus::Builder builder;
  ASSERT_TRUE(builder.Add(0x3f8, 8, &a).ok());
  EXPECT_EQ(builder.Add(0x10, 0, &b).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(builder.Add(~uint64_t{0}, 2, &b).code(), absl::StatusCode::kInvalidArgument);
  for (const auto& [start, size] :
       {std::pair<uint64_t, uint64_t>{0x3f8, 8}, {0x3ff, 1}, {0x3f0, 9}, {0, ~uint64_t{0}}}) {
    const absl::Status status = builder.Add(start, size, &b);
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << start;
    EXPECT_NE(status.message().find("i8042"), std::string::npos) << status;
    EXPECT_NE(status.message().find("serial"), std::string::npos) << status;
  }
  EXPECT_TRUE(builder.Add(0x3f0, 8, &b).ok());
}

}  // namespace
}  // namespace hearth
