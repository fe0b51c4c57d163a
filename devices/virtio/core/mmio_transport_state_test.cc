// SPDX-License-Identifier: Apache-2.0
// What a transport saves, and what it refuses to restore.
#include <gtest/gtest.h>

#include <functional>

#include "base/log.h"
#include "devices/virtio/core/transport_fixture.h"

namespace hearth::virtio {
namespace {

class StateTest : public testing::Test, public TransportFixture {
 protected:
  StateTest() { base::SetLogOptions({.level = base::LogLevel::kOff}); }

  DeviceState Save() {
    transport->Pause();
    return transport->Save();
  }
  // Into a new transport, which takes the old one's place.
  absl::Status Restore(const DeviceState& state) {
    transport->Shutdown();
    transport = MakeTransport();
    driver->Attach(transport.get());
    return transport->Restore(state);
  }
};

TEST_F(StateTest, ARunningDeviceGoesOn) {
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "one"), "one");
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kUsedBuffer);
  const auto in_flight = driver->Add(1, "late", 4);
  driver->Kick(1);
  const DeviceState state = Save();
  const auto waiting = driver->Add(0, "wait", 4);  // offered, but nobody will notify of it
  (void)driver->queue(0).Kick();
  ASSERT_EQ(Restore(state), absl::OkStatus());
  EXPECT_FALSE(device().active()) << "not before Resume()";
  // The interrupt that the guest may not have seen yet comes again.
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kUsedBuffer);
  transport->Resume();
  EXPECT_EQ(AwaitEcho(1, *in_flight), "late");
  EXPECT_EQ(AwaitEcho(0, *waiting), "wait");
  EXPECT_EQ(Echo(1, "more"), "more");
}

TEST_F(StateTest, EveryStepOfTheDriverSurvives) {
  // Snapshots between each two steps of an initialization; the driver notices nothing.
  const auto move = [&] {
    const DeviceState state = Save();
    ASSERT_EQ(Restore(state), absl::OkStatus());
    DeviceState again = transport->Save();
    EXPECT_EQ(again.config_generation(), state.config_generation() + 1);
    again.set_config_generation(state.config_generation());
    EXPECT_EQ(again.SerializeAsString(), state.SerializeAsString());
    transport->Resume();
  };
  move();
  driver->Write(kStatus, kAcknowledge);
  move();
  driver->Write(kStatus, kAcknowledge | kDriver);
  move();
  driver->Write(kDriverFeaturesSel, 1);
  move();
  driver->Write(kDriverFeatures, static_cast<uint32_t>(kTransportFeatures >> 32));
  driver->Write(kDriverFeaturesSel, 2);
  driver->Write(kDriverFeatures, 1);
  move();
  driver->Write(kStatus, kAcknowledge | kDriver | kFeaturesOk);
  EXPECT_EQ(driver->status(), kAcknowledge | kDriver) << "the bit beyond 63 is not forgotten";
  ASSERT_TRUE(driver->Negotiate());
  move();
  driver->SetUpQueues(16);
  move();
  ASSERT_TRUE(driver->SetDriverOk());
  move();
  EXPECT_EQ(Echo(0, "here"), "here");
  driver->Write(kStatus, driver->status() | kFailed);
  move();
}

TEST_F(StateTest, NeedsResetSurvives) {
  ASSERT_TRUE(driver->Start());
  driver->queue(0).WriteAvailableIndex(0x4000);
  driver->Write(kQueueNotify, 0);
  ASSERT_TRUE(loop.RunUntil([&] { return (driver->status() & kDeviceNeedsReset) != 0; }));
  ASSERT_EQ(Restore(Save()), absl::OkStatus());
  transport->Resume();
  EXPECT_EQ(driver->status() & kDeviceNeedsReset, kDeviceNeedsReset);
  EXPECT_FALSE(device().active());
  EXPECT_EQ(driver->TakeInterrupt(), Interrupt::kConfigurationChange);
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(1, "well"), "well");
}

TEST_F(StateTest, SavedStatesThatAreRefused) {
  ASSERT_TRUE(driver->Start());
  EXPECT_EQ(Echo(0, "one"), "one");
  const DeviceState good = Save();
  const struct {
    std::function<void(DeviceState&)> change;
    const char* error;
  } kBad[] = {
      {[](DeviceState& s) { s.set_path("echo/1"); }, "path: echo/1; echo/0 is expected"},
      {[](DeviceState& s) { s.set_virtio_id(1); }, "virtio_id: 1; 42 is expected"},
      {[](DeviceState& s) { s.set_status(kDriver); }, "status: 0x2 is no state of a virtio device"},
      {[](DeviceState& s) { s.set_status(s.status() | 0x10); },
       "status: 0x1f is no state of a virtio device"},
      {[](DeviceState& s) { s.set_status(kAcknowledge | kDeviceNeedsReset); },
       "status: 0x41 is no state of a virtio device"},
      {[](DeviceState& s) { s.set_interrupt_status(4); }, "interrupt_status: 4 is above 3"},
      {[](DeviceState& s) { s.set_driver_features(s.driver_features() | 4); },
       "driver_features: bits 0x4 are not offered"},
      {[](DeviceState& s) { s.set_driver_features(1); },
       "driver_features: VIRTIO_F_VERSION_1 is needed"},
      {[](DeviceState& s) { s.set_driver_features(kFeatureVersion1 | EchoDevice::kFeatureB); },
       "driver_features: feature B needs feature A"},
      {[](DeviceState& s) { s.set_driver_features_beyond(true); },
       "driver_features: bits above 63 are not offered"},
      {[](DeviceState& s) { s.add_queues(); }, "queues: 3; 2 is expected"},
      {[](DeviceState& s) { s.mutable_queues()->RemoveLast(); }, "queues: 1; 2 is expected"},
      {[](DeviceState& s) { s.mutable_queues(0)->set_size(128); },
       "queues[0]: size: 128; a power of two, at most 64, is expected"},
      {[](DeviceState& s) { s.mutable_queues(1)->set_size(65536); },
       "queues[1]: size: 65536 is above 65535"},
      {[](DeviceState& s) { s.mutable_queues(1)->set_next_avail(65536); },
       "queues[1]: next_avail: 65536 is above 65535"},
      {[](DeviceState& s) { s.mutable_queues(1)->set_next_used(1u << 31); },
       "queues[1]: next_used: 2147483648 is above 65535"},
      {[](DeviceState& s) { s.mutable_queues(0)->set_next_used(9); },
       "queues[0]: next_used: 9 differs from next_avail (1), but nothing is in flight"},
      {[](DeviceState& s) { s.mutable_queues(1)->set_device_area(1ull << 40); },
       "queues[1]: device_area: 134 bytes at 0x10000000000 are not in the guest's memory"},
      {[](DeviceState& s) { s.set_status(kAcknowledge | kDriver); },
       "queues[0]: ready: true before FEATURES_OK"},
      {[](DeviceState& s) { s.mutable_config_space()->pop_back(); },
       "config_space: 11; 12 is expected"},
      {[](DeviceState& s) { s.mutable_config_space()->push_back('x'); },
       "config_space: 13; 12 is expected"},
      {[](DeviceState& s) { s.set_device("many"); }, "device: echoed: a number is expected"},
  };
  for (const auto& bad : kBad) {
    DeviceState state = good;
    bad.change(state);
    EXPECT_EQ(Restore(state).message(), bad.error);
  }
  EXPECT_EQ(Restore(good), absl::OkStatus());
}

TEST_F(StateTest, WhatADriverHasNotSetUpYetIsNotJudged) {
  ASSERT_TRUE(driver->Negotiate());
  driver->Write(kQueueSel, 0);
  driver->Write(kQueueNum, 3);
  driver->Write(kQueueDescHigh, 0xffffffff);
  driver->Write(kQueueReady, 1);
  ASSERT_EQ(Restore(Save()), absl::OkStatus());
  transport->Resume();
  EXPECT_FALSE(driver->SetDriverOk());
  EXPECT_EQ(driver->status() & kDeviceNeedsReset, kDeviceNeedsReset);
}

}  // namespace
}  // namespace hearth::virtio
