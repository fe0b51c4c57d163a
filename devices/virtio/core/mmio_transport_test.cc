// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/mmio_transport.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "devices/virtio/core/transport_fixture.h"

namespace hearth::virtio {
namespace {

constexpr uint32_t kRunning = kAcknowledge | kDriver | kFeaturesOk | kDriverOk;

class MmioTransportTest : public testing::Test, public TransportFixture {
 protected:
  MmioTransportTest() { base::SetLogOptions({.level = base::LogLevel::kOff}); }

  uint32_t Read(uint64_t offset) { return driver->Read(offset); }
  void Write(uint64_t offset, uint32_t value) { driver->Write(offset, value); }
  // Up to `status` by the rules, with all features.
  void Advance(uint32_t status) {
    driver->Reset();
    if (status == kRunning) {
      ASSERT_TRUE(driver->Start());
    } else if ((status & kFeaturesOk) != 0) {
      ASSERT_TRUE(driver->Negotiate());
    } else {
      Write(kStatus, status & kAcknowledge);
      if ((status & kDriver) != 0) Write(kStatus, status);
    }
    ASSERT_EQ(driver->status(), status);
  }
};

TEST_F(MmioTransportTest, IdentifiesItself) {
  EXPECT_EQ(Read(kMagicValue), 0x74726976u);
  EXPECT_EQ(Read(kVersion), 2u);
  EXPECT_EQ(Read(kDeviceId), EchoDevice::kVirtioId);
  EXPECT_EQ(Read(kStatus), 0u);
  EXPECT_EQ(Read(kInterruptStatus), 0u);
  EXPECT_EQ(transport->name(), "echo/0");
  EXPECT_EQ(transport->queue_count(), 2u);
}

TEST_F(MmioTransportTest, WhatIsNotThereReadsAsZero) {
  for (uint64_t offset = 0; offset < kConfig; offset += 4) {
    switch (offset) {
      case kMagicValue:
      case kVersion:
      case kDeviceId:
      case kVendorId:
      case kDeviceFeatures:
      case kQueueNumMax:
      case kConfigGeneration:
        EXPECT_NE(Read(offset), 0u) << offset;
        break;
      case kShmLenLow:  // "no such region"
      case kShmLenHigh:
      case kShmBaseLow:
      case kShmBaseHigh:
        EXPECT_EQ(Read(offset), ~0u) << offset;
        break;
      default:
        EXPECT_EQ(Read(offset), 0u) << offset;
    }
  }
}

TEST_F(MmioTransportTest, RegistersTakeAlignedWordsOnly) {
  for (const size_t size : {1, 2, 8}) {
    uint8_t data[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    transport->Read(kMagicValue, absl::MakeSpan(data, size));
    for (size_t i = 0; i < size; ++i) EXPECT_EQ(data[i], 0) << size;
    data[0] = kAcknowledge;
    transport->Write(kStatus, absl::MakeSpan(data, size));
    EXPECT_EQ(Read(kStatus), 0u) << size;
  }
  EXPECT_EQ(Read(kMagicValue + 1), 0u);
  Write(kStatus + 2, kAcknowledge);
  EXPECT_EQ(Read(kStatus), 0u);
}

TEST_F(MmioTransportTest, FeatureWindows) {
  const uint64_t offered = kTransportFeatures | EchoDevice::kFeatureA | EchoDevice::kFeatureB;
  EXPECT_EQ(driver->OfferedFeatures(), offered);
  for (const uint32_t window : {2u, 3u, ~0u}) {
    Write(kDeviceFeaturesSel, window);
    EXPECT_EQ(Read(kDeviceFeatures), 0u);
  }
}

TEST_F(MmioTransportTest, FeaturesThatAreRefused) {
  EXPECT_FALSE(driver->Negotiate(~kFeatureVersion1)) << "without VERSION_1";
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver);
  EXPECT_FALSE(driver->Negotiate(~EchoDevice::kFeatureA)) << "CheckFeatures() says no";
  // Bits that were not offered.
  for (int bit = 0; bit < 96; ++bit) {
    const uint64_t offered = driver->OfferedFeatures();
    if (bit < 64 && (offered >> bit & 1) != 0) continue;
    Advance(kAcknowledge | kDriver);
    for (uint32_t window = 0; window < 3; ++window) {
      uint32_t value = window < 2 ? static_cast<uint32_t>(offered >> (32 * window)) : 0;
      if (bit / 32 == static_cast<int>(window)) value |= 1u << bit % 32;
      Write(kDriverFeaturesSel, window);
      Write(kDriverFeatures, value);
    }
    Write(kStatus, kAcknowledge | kDriver | kFeaturesOk);
    EXPECT_EQ(driver->status(), kAcknowledge | kDriver) << bit;
    Write(kStatus, kRunning);
    EXPECT_EQ(driver->status(), kAcknowledge | kDriver) << bit;
  }
  EXPECT_FALSE(device().active());
}

TEST_F(MmioTransportTest, FeaturesAreFrozenByFeaturesOk) {
  ASSERT_TRUE(driver->Negotiate(~(EchoDevice::kFeatureA | EchoDevice::kFeatureB)));
  Write(kDriverFeaturesSel, 0);
  Write(kDriverFeatures, ~0u);
  transport->Pause();
  EXPECT_EQ(transport->Save().driver_features(), kTransportFeatures);
}

TEST_F(MmioTransportTest, StatusBitsComeInOrder) {
  Write(kStatus, kDriver);
  EXPECT_EQ(driver->status(), 0u) << "DRIVER before ACKNOWLEDGE";
  Write(kStatus, kAcknowledge);
  Write(kStatus, kAcknowledge | kFeaturesOk);
  EXPECT_EQ(driver->status(), kAcknowledge) << "FEATURES_OK before DRIVER";
  Write(kStatus, kAcknowledge | kDriverOk);
  EXPECT_EQ(driver->status(), kAcknowledge) << "DRIVER_OK before FEATURES_OK";
  Write(kStatus, kAcknowledge | kDriver);
  Write(kStatus, kAcknowledge | kDriver | kDriverOk);
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver) << "DRIVER_OK before FEATURES_OK";
  Write(kStatus, kAcknowledge);
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver) << "no bit is taken back";
  Write(kStatus, kDeviceNeedsReset | 0xffffff30);
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver) << "bits that are not the driver's";
}

TEST_F(MmioTransportTest, AfterFailedOnlyAResetHelps) {
  Advance(kAcknowledge | kDriver);
  Write(kStatus, kFailed);
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver | kFailed);
  Write(kStatus, kRunning);
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver | kFailed);
  EXPECT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "again"), "again");
}

TEST_F(MmioTransportTest, QueueRegistersFollowTheSelector) {
  Write(kQueueSel, 0);
  EXPECT_EQ(Read(kQueueNumMax), 64u);
  Write(kQueueSel, 1);
  EXPECT_EQ(Read(kQueueNumMax), 256u);
  for (const uint32_t none : {2u, 3u, 0xffffu, ~0u}) {
    Write(kQueueSel, none);
    EXPECT_EQ(Read(kQueueNumMax), 0u);
    Write(kQueueReady, 1);
    EXPECT_EQ(Read(kQueueReady), 0u);
  }
}

TEST_F(MmioTransportTest, QueuesAreSetUpBetweenFeaturesOkAndDriverOk) {
  Advance(kAcknowledge | kDriver);
  Write(kQueueSel, 0);
  Write(kQueueReady, 1);
  EXPECT_EQ(Read(kQueueReady), 0u) << "before FEATURES_OK";
  Advance(kAcknowledge | kDriver | kFeaturesOk);
  Write(kQueueSel, 0);
  Write(kQueueNum, 4);
  Write(kQueueReady, 2);
  EXPECT_EQ(Read(kQueueReady), 0u) << "2 is neither";
  Write(kQueueReady, 1);
  EXPECT_EQ(Read(kQueueReady), 1u);
  Write(kQueueNum, 8);  // while ready: ignored
  Write(kQueueDescLow, 0x1000);
  transport->Pause();
  const DeviceState state = transport->Save();
  EXPECT_EQ(state.queues(0).size(), 4u);
  EXPECT_EQ(state.queues(0).descriptor_table(), 0u);
  transport->Resume();
  // Taken back before DRIVER_OK, as a driver does whose probing failed.
  Write(kQueueReady, 0);
  EXPECT_EQ(Read(kQueueReady), 0u);
  // Not set up any more after DRIVER_OK.
  Write(kStatus, driver->status() | kDriverOk);
  ASSERT_EQ(driver->status(), kRunning);
  Write(kQueueReady, 1);
  EXPECT_EQ(Read(kQueueReady), 0u);
}

}  // namespace
}  // namespace hearth::virtio
