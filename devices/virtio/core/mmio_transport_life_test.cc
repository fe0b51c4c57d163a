// SPDX-License-Identifier: Apache-2.0
// The transport with a device at work: requests, interrupts, faults, pauses, resets.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/log.h"
#include "devices/virtio/core/mmio_transport.h"
#include "devices/virtio/core/transport_fixture.h"

namespace hearth::virtio {
namespace {

constexpr uint32_t kRunning = kAcknowledge | kDriver | kFeaturesOk | kDriverOk;

class MmioTransportLifeTest : public testing::Test, public TransportFixture {
 protected:
  MmioTransportLifeTest() { base::SetLogOptions({.level = base::LogLevel::kOff}); }

  uint32_t Read(uint64_t offset) { return driver->Read(offset); }
  void Write(uint64_t offset, uint32_t value) { driver->Write(offset, value); }
  uint64_t Metric(absl::string_view name) {
    uint64_t found = 0;
    transport->VisitMetrics([&](absl::string_view n, uint64_t value) {
      if (n == name) found = value;
    });
    return found;
  }
};

TEST_F(MmioTransportLifeTest, RequestsAndInterrupts) {
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

TEST_F(MmioTransportLifeTest, InterruptAckClearsWhatItNames) {
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

TEST_F(MmioTransportLifeTest, ConfigSpace) {
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

TEST_F(MmioTransportLifeTest, ResetBringsEverythingBackToTheBeginning) {
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

TEST_F(MmioTransportLifeTest, ResetWaitsForWhatIsInFlight) {
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

TEST_F(MmioTransportLifeTest, AFaultSetsNeedsResetAndInterrupts) {
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

TEST_F(MmioTransportLifeTest, ADeviceThatGivesUpInTheMiddleOfABatch) {
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

TEST_F(MmioTransportLifeTest, BadQueuesAtDriverOk) {
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

TEST_F(MmioTransportLifeTest, AQueueSizeThatFitsNoQueueIsNotCutToSize) {
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

TEST_F(MmioTransportLifeTest, AQueueThatIsNotSetUp) {
  ASSERT_TRUE(driver->Negotiate());
  driver->SetUpQueues(16);
  Write(kQueueSel, 0);
  Write(kQueueReady, 0);
  ASSERT_TRUE(driver->SetDriverOk());
  driver->Write(kQueueNotify, 0);
  EXPECT_EQ(Echo(1, "the other"), "the other");
}

TEST_F(MmioTransportLifeTest, AQueueIsStoppedWhileTheDeviceRuns) {
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

TEST_F(MmioTransportLifeTest, NotifyOfAQueueThatDoesNotExist) {
  ASSERT_TRUE(driver->Start());
  for (const uint32_t queue : {2u, 0x10000u, ~0u}) Write(kQueueNotify, queue);
  EXPECT_EQ(Echo(0, "alive"), "alive");
}

TEST_F(MmioTransportLifeTest, PauseCollectsWhatIsInFlight) {
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

TEST_F(MmioTransportLifeTest, RegistersWhilePaused) {
  ASSERT_TRUE(driver->Start());
  transport->Pause();
  ASSERT_TRUE(driver->Start()) << "resets and starts again";
  EXPECT_FALSE(device().active());
  transport->Resume();
  EXPECT_EQ(Echo(0, "then"), "then");
}

TEST_F(MmioTransportLifeTest, AfterShutdownNothingHappens) {
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
