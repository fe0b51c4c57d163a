// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/mmio_transport.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

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
  uint64_t Metric(absl::string_view name) {
    uint64_t found = 0;
    transport->VisitMetrics([&](absl::string_view n, uint64_t value) {
      if (n == name) found = value;
    });
    return found;
  }
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

TEST_F(MmioTransportTest, RequestsAndInterrupts) {
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "hello"), "hello");
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kUsedBuffer);
  EXPECT_EQ(driver->TakeInterrupt(), 0u);
  driver->queue(1).SetUsedEvent(1);  // the second, not the first
  EXPECT_EQ(Echo(1, "later"), "later");
  EXPECT_EQ(driver->TakeInterrupt(), 0u);
  EXPECT_EQ(Echo(1, "and later"), "and later");
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kUsedBuffer);
  EXPECT_EQ(Metric("requests"), 3u);
  EXPECT_EQ(Metric("guest_faults"), 0u);
}

TEST_F(MmioTransportTest, InterruptAckClearsWhatItNames) {
  ASSERT_TRUE(driver->Start());
  (void)Echo(0, "x");
  Write(kConfig + EchoDevice::kDriverNumber, 5);
  ASSERT_TRUE(loop.RunUntil([&] { return Read(kConfig + EchoDevice::kAnswer) == 6; }));
  EXPECT_EQ(Read(kInterruptStatus), 3u);
  Write(kInterruptAck, Interrupt::kUsedBuffer);
  EXPECT_EQ(Read(kInterruptStatus), 2u);
  Write(kInterruptAck, ~0u);
  EXPECT_EQ(Read(kInterruptStatus), 0u);
}

TEST_F(MmioTransportTest, ConfigSpace) {
  EXPECT_EQ(Read(kConfig), 7u) << "readable before FEATURES_OK";
  Write(kConfig, 8);
  EXPECT_EQ(Read(kConfig), 7u) << "not the driver's to write";
  Write(kConfig + EchoDevice::kDriverNumber, 100);
  loop.Settle();
  EXPECT_EQ(Read(kConfig + EchoDevice::kAnswer), 0u) << "not active";
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Read(kConfig + EchoDevice::kDriverNumber), 0u) << "forgotten by the reset";
  const uint32_t generation = Read(kConfigGeneration);
  for (uint32_t i = 0; i < 100; ++i) Write(kConfig + EchoDevice::kDriverNumber, i);
  ASSERT_TRUE(loop.RunUntil([&] { return Read(kConfig + EchoDevice::kAnswer) == 100; }));
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kConfigurationChange);
  EXPECT_EQ(Read(kConfigGeneration), generation + 1)
      << "a hundred writes, one change of the device";
  // Any size, any place; bytes behind the end are 0 and take nothing.
  uint8_t data[8];
  transport->Read(kConfig + 10, absl::MakeSpan(data));
  EXPECT_EQ(std::vector<uint8_t>(data, data + 8), std::vector<uint8_t>(8, 0));
  transport->Read(MmioTransport::kSizeBytes - 8, absl::MakeSpan(data));
  transport->Write(MmioTransport::kSizeBytes - 8, absl::MakeSpan(data));
  transport->Read(kConfig + 3, absl::MakeSpan(data, 2));
  EXPECT_EQ(data[1], 99);
}

TEST_F(MmioTransportTest, ResetBringsEverythingBackToTheBeginning) {
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "one"), "one");
  Write(kConfig + EchoDevice::kDriverNumber, 5);
  loop.Settle();
  Write(kQueueSel, 1);
  Write(kDeviceFeaturesSel, 1);
  Write(kDriverFeaturesSel, 1);
  const uint32_t generation = Read(kConfigGeneration);
  driver->Reset();
  EXPECT_EQ(driver->status(), 0u);
  EXPECT_FALSE(device().active());
  EXPECT_EQ(Read(kInterruptStatus), 0u);
  EXPECT_EQ(Read(kQueueNumMax), 64u) << "QueueSel is 0 again";
  EXPECT_EQ(Read(kConfig + EchoDevice::kDriverNumber), 0u);
  EXPECT_GT(Read(kConfigGeneration), generation) << "which never goes back";
  transport->Pause();
  DeviceState reset = transport->Save();
  const DeviceState fresh = MakeTransport()->Save();
  reset.set_config_generation(fresh.config_generation());
  EXPECT_EQ(reset.SerializeAsString(), fresh.SerializeAsString());
  transport->Resume();
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "two"), "two");
  EXPECT_EQ(Echo(1, "three"), "three");
}

TEST_F(MmioTransportTest, ResetWaitsForWhatIsInFlight) {
  ASSERT_TRUE(driver->Start());
  const auto request = driver->Add(1, "late", 4);
  driver->Kick(1);
  driver->Reset();  // before the loop has turned even once
  EXPECT_EQ(driver->ReadMemory(request->writable, 4), "late");
  EXPECT_EQ(driver->queue(1).used_index(), 1);
  // From now on the memory is the driver's: nothing writes there any more.
  driver->Write(kQueueNotify, 1);
  loop.Settle();
  EXPECT_EQ(driver->queue(1).used_index(), 1);
}

TEST_F(MmioTransportTest, AFaultSetsNeedsResetAndInterrupts) {
  ASSERT_TRUE(driver->Start());
  (void)driver->TakeInterrupt();
  driver->queue(0).WriteAvailableIndex(0x8000);
  Write(kQueueNotify, 0);
  ASSERT_TRUE(loop.RunUntil([&] { return (driver->status() & kDeviceNeedsReset) != 0; }));
  EXPECT_EQ(driver->status(), kRunning | kDeviceNeedsReset);
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kConfigurationChange);
  EXPECT_EQ(Metric("guest_faults"), 1u);
  // It is left alone until the reset.
  Write(kQueueNotify, 0);
  Write(kConfig + EchoDevice::kDriverNumber, 1);
  loop.Settle();
  EXPECT_EQ(driver->TakeInterrupt(), 0u);
  transport->Pause();
  transport->Resume();
  EXPECT_EQ(driver->status(), kRunning | kDeviceNeedsReset);
  EXPECT_EQ(driver->TakeInterrupt(), 0u);
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "well again"), "well again");
  EXPECT_EQ(Metric("guest_faults"), 1u);
}

TEST_F(MmioTransportTest, ADeviceThatGivesUpInTheMiddleOfABatch) {
  ASSERT_TRUE(driver->Start());
  for (const char* text : {"good", "poison", "good"}) {
    ASSERT_TRUE(driver->Add(0, text, 4).has_value());
    ASSERT_TRUE(driver->Add(1, text, 4).has_value());
  }
  driver->Kick(0);
  driver->Kick(1);
  ASSERT_TRUE(loop.RunUntil([&] { return (driver->status() & kDeviceNeedsReset) != 0; }));
  EXPECT_EQ(driver->queue(0).used_index(), 2) << "what was done is handed back";
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Metric("guest_faults"), 1u);
}

TEST_F(MmioTransportTest, BadQueuesAtDriverOk) {
  const auto start_with = [&](auto change) {
    EXPECT_TRUE(driver->Negotiate());
    driver->SetUpQueues(16);
    QueueConfig config = driver->queue(1).Config(256);
    change(config);
    Write(kQueueSel, 1);
    Write(kQueueReady, 0);
    driver->SetUpQueue(1, config);
    (void)driver->TakeInterrupt();
    return driver->SetDriverOk();
  };
  EXPECT_TRUE(start_with([](QueueConfig&) {}));
  const auto expect_refused = [&](auto change) {
    EXPECT_FALSE(start_with(change));
    EXPECT_EQ(driver->status(), kRunning | kDeviceNeedsReset);
    EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kConfigurationChange);
    EXPECT_FALSE(device().active());
  };
  expect_refused([](QueueConfig& c) { c.size = 0; });
  expect_refused([](QueueConfig& c) { c.size = 24; });
  expect_refused([](QueueConfig& c) { c.size = 512; });
  expect_refused([](QueueConfig& c) { c.guest_descriptor_table = 1ull << 40; });
  expect_refused([](QueueConfig& c) { c.guest_driver_area |= 1; });
  expect_refused([](QueueConfig& c) { c.guest_device_area = ~0ull; });
  EXPECT_EQ(Metric("guest_faults"), 6u);
  EXPECT_TRUE(start_with([](QueueConfig&) {}));
}

TEST_F(MmioTransportTest, AQueueSizeThatFitsNoQueueIsNotCutToSize) {
  ASSERT_TRUE(driver->Negotiate());
  driver->SetUpQueues(16);
  const QueueConfig config = driver->queue(1).Config(256);
  Write(kQueueSel, 1);
  Write(kQueueReady, 0);
  driver->SetUpQueue(1, {.size = config.size,
                         .ready = false,
                         .guest_descriptor_table = config.guest_descriptor_table,
                         .guest_driver_area = config.guest_driver_area,
                         .guest_device_area = config.guest_device_area});
  Write(kQueueNum, 0x10010);
  Write(kQueueReady, 1);
  EXPECT_FALSE(driver->SetDriverOk());
}

TEST_F(MmioTransportTest, AQueueThatIsNotSetUp) {
  ASSERT_TRUE(driver->Negotiate());
  driver->SetUpQueues(16);
  Write(kQueueSel, 0);
  Write(kQueueReady, 0);
  ASSERT_TRUE(driver->SetDriverOk());
  driver->Write(kQueueNotify, 0);
  EXPECT_EQ(Echo(1, "the other"), "the other");
}

TEST_F(MmioTransportTest, AQueueIsStoppedWhileTheDeviceRuns) {
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "one"), "one");
  const auto request = driver->Add(1, "late", 4);
  driver->Kick(1);
  Write(kQueueSel, 1);
  Write(kQueueReady, 0);
  EXPECT_EQ(Read(kQueueReady), 0u);
  EXPECT_EQ(driver->ReadMemory(request->writable, 4), "late") << "finished, not forgotten";
  (void)driver->Add(1, "dead", 4);
  driver->Kick(1);
  EXPECT_EQ(Echo(0, "two"), "two") << "the other goes on";
  EXPECT_EQ(driver->queue(1).used_index(), 1);
}

TEST_F(MmioTransportTest, NotifyOfAQueueThatDoesNotExist) {
  ASSERT_TRUE(driver->Start());
  for (const uint32_t queue : {2u, 0x10000u, ~0u}) Write(kQueueNotify, queue);
  EXPECT_EQ(Echo(0, "alive"), "alive");
}

TEST_F(MmioTransportTest, PauseCollectsWhatIsInFlight) {
  ASSERT_TRUE(driver->Start());
  const auto request = driver->Add(1, "late", 4);
  driver->Kick(1);
  transport->Pause();
  EXPECT_FALSE(device().active());
  EXPECT_EQ(driver->ReadMemory(request->writable, 4), "late");
  transport->Pause();
  const auto waiting = driver->Add(0, "wait", 4);
  driver->Kick(0);
  loop.Settle();
  EXPECT_EQ(driver->queue(0).used_index(), 0) << "nothing moves";
  transport->Resume();
  transport->Resume();
  EXPECT_EQ(AwaitEcho(0, *waiting), "wait");
}

TEST_F(MmioTransportTest, RegistersWhilePaused) {
  ASSERT_TRUE(driver->Start());
  transport->Pause();
  ASSERT_TRUE(driver->Start()) << "resets and starts again";
  EXPECT_FALSE(device().active());
  transport->Resume();
  EXPECT_EQ(Echo(0, "then"), "then");
}

TEST_F(MmioTransportTest, AfterShutdownNothingHappens) {
  ASSERT_TRUE(driver->Start());
  transport->Shutdown();
  EXPECT_FALSE(device().active());
  Write(kStatus, 0);
  Write(kStatus, kRunning);
  Write(kConfig + EchoDevice::kDriverNumber, 1);
  Write(kQueueNotify, 0);
  transport->Shutdown();
  EXPECT_FALSE(device().active());
}

// vCPUs that write to registers and rings, resets among them, while the device works.
TEST(MmioTransportThreads, ResetsAmongRequests) {
  base::SetLogOptions({.level = base::LogLevel::kOff});
  TransportFixture fixture(TestLoop::Mode::kThread);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    TransportDriver reader(fixture.transport.get(), fixture.memory.get(), GuestAddress(0x100000));
    while (!stop) {
      (void)reader.status();
      (void)reader.Read(kConfig + EchoDevice::kAnswer);
      (void)reader.Read(kConfigGeneration);
      (void)reader.Read(kInterruptStatus);
      reader.Write(kConfig + EchoDevice::kDriverNumber, 3);
      reader.Write(kQueueNotify, 1);
    }
  });
  for (int round = 0; round < 200; ++round) {
    fixture.driver = std::make_unique<TransportDriver>(fixture.transport.get(),
                                                       fixture.memory.get(), GuestAddress(0x10000));
    ASSERT_TRUE(fixture.driver->Start());
    ASSERT_EQ(fixture.Echo(0, "hello"), "hello");
    ASSERT_EQ(fixture.Echo(1, "world"), "world");
    // Left in flight; every third time together with a fault, which the device thread reports while
    // this thread waits for it.
    (void)fixture.driver->Add(1, "late", 4);
    if (round % 3 == 0) (void)fixture.driver->Add(1, "poison", 4);
    fixture.driver->Kick(1);
    if (round % 5 == 0) {
      fixture.transport->Pause();
      fixture.transport->Resume();
    }
    fixture.driver->Reset();
    ASSERT_EQ(fixture.driver->status(), 0u);
  }
  stop = true;
  other.join();
}

}  // namespace
}  // namespace hearth::virtio
