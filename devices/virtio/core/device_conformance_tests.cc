// SPDX-License-Identifier: Apache-2.0
// The suite's tests.
#include <algorithm>
#include <bit>
#include <random>

#include "base/status_macros.h"
#include "devices/virtio/core/device_conformance.h"
#include "devices/virtio/core/ring_fuzzer.h"

namespace hearth::virtio {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceConformance);

TEST_P(DeviceConformance, OffersWhatADeviceMayOffer) {
  Device& device = transport_->device();
  EXPECT_EQ(driver_->Read(kDeviceId), device.virtio_id());
  EXPECT_NE(device.virtio_id(), 0u) << "means: no device";
  EXPECT_EQ(driver_->OfferedFeatures(), device.features() | kTransportFeatures);
  // "Reserved Feature Bits" are the transport's business.
  EXPECT_EQ(device.features() & (0x3ffull << 28 | 0x3ffull << 32), 0u);
  ASSERT_FALSE(device.queue_sizes().empty());
  for (size_t i = 0; i < device.queue_sizes().size(); ++i) {
    const uint16_t size = device.queue_sizes()[i];
    EXPECT_TRUE(std::has_single_bit(size) && size <= 32768) << "queue " << i << ": " << size;
  }
  EXPECT_FALSE(requests_.empty()) << "the sample has no requests to test with";
}

TEST_P(DeviceConformance, FeaturesAreClamped) {
  const uint64_t offered = driver_->OfferedFeatures();
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t mask = 1ull << bit;
    if ((offered & mask) == 0) {
      driver_->Reset();
      driver_->Write(kStatus, kAcknowledge);
      driver_->Write(kStatus, kAcknowledge | kDriver);
      for (uint32_t window : {0, 1}) {
        driver_->Write(kDriverFeaturesSel, window);
        driver_->Write(kDriverFeatures, static_cast<uint32_t>((offered | mask) >> (32 * window)));
      }
      driver_->Write(kStatus, kAcknowledge | kDriver | kFeaturesOk);
      EXPECT_EQ(driver_->status() & kFeaturesOk, 0u) << "takes bit " << bit << ", not offered";
    } else if (driver_->Negotiate(~mask)) {
      // A driver may do without.
      driver_->SetUpQueues(kQueueSize);
      EXPECT_TRUE(driver_->SetDriverOk()) << bit;
      loop_.Settle();
    } else {
      EXPECT_EQ(driver_->status(), kAcknowledge | kDriver) << bit;
    }
  }
  ASSERT_TRUE(driver_->Start(kFeatureVersion1, kQueueSize)) << "the least a driver can have";
  loop_.Settle();
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  ExpectWorks();
}

TEST_P(DeviceConformance, AnswersRequestsOfAnyShape) {
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  for (const Shape shape : {Shape::kDirect, Shape::kIndirect, Shape::kOneByteEach}) {
    SendAll(shape);
    ExpectAllBack();
  }
  // Around the ring, so that its indices wrap.
  for (int round = 0; round < 3 * kQueueSize; ++round) ExpectWorks();
}

TEST_P(DeviceConformance, ResetFromAnyState) {
  for (int step = 0; step <= kSteps; ++step) {
    AdvanceTo(step);
    if (step == 5) SendAll();  // in flight when the reset comes
    driver_->Reset();
    EXPECT_EQ(driver_->status(), 0u) << step;
    EXPECT_EQ(driver_->Read(kInterruptStatus), 0u) << step;
    outstanding_.clear();
    // The memory is the driver's again.
    if (step >= 4) {
      std::vector<uint16_t> before;
      for (size_t i = 0; i < driver_->queue_count(); ++i)
        before.push_back(driver_->queue(i).used_index());
      sample_->Stir();
      for (uint32_t i = 0; i < driver_->queue_count(); ++i) driver_->Write(kQueueNotify, i);
      loop_.Settle();
      for (size_t i = 0; i < driver_->queue_count(); ++i) {
        EXPECT_EQ(driver_->queue(i).used_index(), before[i]) << step;
      }
    }
    ASSERT_TRUE(driver_->Start(kAll, kQueueSize)) << step;
    ExpectWorks();
  }
}

TEST_P(DeviceConformance, ResetForgetsWhatTheDriverDid) {
  const auto state = [&] {
    transport_->Pause();
    DeviceState saved = transport_->Save();
    saved.set_config_generation(0);
    transport_->Resume();
    return saved.SerializeAsString();
  };
  const std::string fresh = state();
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  for (uint64_t at = 0; at < 64; at += 4) driver_->Write(kConfig + at, 0x5a5a5a5a);
  ExpectWorks();
  driver_->Reset();
  EXPECT_EQ(state(), fresh);
}

TEST_P(DeviceConformance, RequestsInFlightSurviveAPause) {
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  for (int round = 0; round < 20; ++round) {
    SendAll(round % 2 == 0 ? Shape::kDirect : Shape::kIndirect);
    if (round % 3 == 0) sample_->Stir();
    transport_->Pause();
    if (round % 4 == 0) SendAll();  // before the vCPUs stopped, after the device did
    transport_->Resume();
    ExpectAllBack();
  }
}

TEST_P(DeviceConformance, RequestsInFlightSurviveASnapshot) {
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  for (int round = 0; round < 10; ++round) {
    SendAll(round % 2 == 0 ? Shape::kDirect : Shape::kIndirect);
    if (round % 3 == 0) sample_->Stir();
    transport_->Pause();
    if (round % 4 == 0) SendAll();
    (void)Move();
    transport_->Resume();
    ExpectAllBack();
  }
}

TEST_P(DeviceConformance, EveryByteOfASnapshotComesBack) {
  for (int step = 0; step <= kSteps; ++step) {
    AdvanceTo(step);
    if (step == 5) {
      for (uint64_t at = 0; at < 64; at += 4) driver_->Write(kConfig + at, 0x01010101);
      ExpectWorks();
    }
    DeviceState before = Move();
    DeviceState after = transport_->Save();
    EXPECT_EQ(after.config_space(), before.config_space()) << step;
    EXPECT_EQ(after.device(), before.device()) << step;
    before.clear_config_generation();
    after.clear_config_generation();
    EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString()) << step;
    transport_->Resume();
    EXPECT_EQ((driver_->status() & kDeviceNeedsReset) != 0, step == 6) << step;
  }
}

TEST_P(DeviceConformance, BadSnapshotsAreRefused) {
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  ExpectWorks();
  transport_->Pause();
  const DeviceState good = transport_->Save();
  const auto restore = [&](const std::string& device) {
    DeviceState state = good;
    state.set_device(device);
    MakeTransport();
    return transport_->Restore(state);
  };
  // No proto at all.
  for (const std::string& garbage :
       {std::string(64, '\xff'), std::string("\x0a\xff\xff\xff\xff\x0f")}) {
    const absl::Status status = restore(garbage);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.message().substr(0, 8), "device: ") << status.message();
  }
  // Each byte bent: it may still be legal; then the device has to live with it.
  for (size_t i = 0; i < good.device().size(); ++i) {
    for (const uint8_t flip : {0x01, 0x10, 0x80, 0xff}) {
      std::string bent = good.device();
      bent[i] = static_cast<char>(bent[i] ^ flip);
      if (!restore(bent).ok()) continue;
      transport_->Resume();
      loop_.Settle();
      transport_->Pause();
      (void)transport_->Save();
    }
    (void)restore(good.device().substr(0, i));
  }
  EXPECT_EQ(restore(good.device()), absl::OkStatus());
  transport_->Resume();
  ExpectWorks();
}

TEST_P(DeviceConformance, ConfigurationSpaceHasBounds) {
  ConfigSpace& config = transport_->device().config_space();
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  for (const size_t size : {1, 2, 4, 8}) {
    uint8_t data[8];
    for (uint64_t at = 0; at < config.size_bytes() + 16; ++at) {
      std::fill(data, data + 8, uint8_t{0xee});
      transport_->Read(kConfig + at, absl::MakeSpan(data, size));
      for (size_t i = 0; i < size; ++i) {
        EXPECT_TRUE(data[i] == 0 || at + i < config.size_bytes()) << at << " " << i;
      }
      transport_->Write(kConfig + at, absl::MakeConstSpan(data, size));
    }
    const uint64_t last = MmioTransport::kSizeBytes - size;
    transport_->Read(last, absl::MakeSpan(data, size));
    transport_->Write(last, absl::MakeConstSpan(data, size));
  }
  // Writes of nonsense are survived.
  for (uint64_t at = 0; at < config.size_bytes(); at += 4) {
    for (const uint32_t value : {0u, 1u, 0x80000000u, ~0u}) driver_->Write(kConfig + at, value);
    loop_.Settle();
  }
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  ExpectWorks();
}

TEST_P(DeviceConformance, InterruptsAsTheEventIndexSays) {
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  const auto interrupted = [&] {
    loop_.Settle();
    return (driver_->TakeInterrupt() & Interrupt::kUsedBuffer) != 0;
  };
  const std::set<uint16_t> queues = RequestQueues();
  const auto ask = [&](uint16_t distance) {
    for (size_t i = 0; i < driver_->queue_count(); ++i) {
      QueueFake& queue = driver_->queue(i);
      queue.SetUsedEvent(static_cast<uint16_t>(queue.used_index() + distance));
    }
  };
  (void)interrupted();
  for (int round = 0; round < 10; ++round) {
    ask(0x8000);
    ExpectWorks();
    EXPECT_FALSE(interrupted()) << "not asked for";
    ask(0);
    SendAll();
    ExpectAllBack();
    EXPECT_TRUE(loop_.RunUntil(interrupted)) << "asked for";
    (void)interrupted();
  }
  // Without the event index, the flag.
  ASSERT_TRUE(driver_->Start(~kFeatureEventIdx, kQueueSize));
  (void)interrupted();
  const auto set_no_interrupt = [&](bool value) {
    for (size_t i = 0; i < driver_->queue_count(); ++i) driver_->queue(i).SetNoInterrupt(value);
  };
  for (int round = 0; round < 10; ++round) {
    set_no_interrupt(true);
    ExpectWorks();
    EXPECT_FALSE(interrupted());
    set_no_interrupt(false);
    ExpectWorks();
    EXPECT_TRUE(loop_.RunUntil(interrupted));
    (void)interrupted();
  }
}

TEST_P(DeviceConformance, FaultsAreReported) {
  for (const uint16_t queue : RequestQueues()) {
    for (int fault = 0; fault < 5; ++fault) {
      ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
      loop_.Settle();
      QueueFake& ring = driver_->queue(queue);
      const auto size = static_cast<uint16_t>(ring.descriptors().size() / 16);
      const auto at = static_cast<uint16_t>(ring.used_index());
      ring.WriteDescriptor(0, 0, 16, kDescNext, 0);  // a loop
      if (fault == 1) ring.WriteDescriptor(0, ~0ull, 16, 0, 0);
      if (fault == 2) ring.WriteDescriptor(0, kMemoryBytes, 16, kDescWrite, 0);
      if (fault == 3) ring.WriteDescriptor(0, 0, 15, kDescIndirect, 0);
      ring.WriteAvailable(at % size, fault == 4 ? size : 0);
      ring.WriteAvailableIndex(static_cast<uint16_t>(at + 1));
      driver_->Write(kQueueNotify, queue);
      EXPECT_TRUE(loop_.RunUntil([&] { return (driver_->status() & kDeviceNeedsReset) != 0; }))
          << "queue " << queue << ", fault " << fault;
      EXPECT_TRUE(loop_.RunUntil(
          [&] { return (driver_->TakeInterrupt() & Interrupt::kConfigurationChange) != 0; }));
      // Nothing helps but a reset.
      sample_->Stir();
      transport_->Pause();
      transport_->Resume();
      EXPECT_NE(driver_->status() & kDeviceNeedsReset, 0u);
    }
  }
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  ExpectWorks();
}

TEST_P(DeviceConformance, GoesWithRequestsInFlight) {
  ASSERT_TRUE(driver_->Start(kAll, kQueueSize));
  SendAll();
  transport_->Shutdown();
  sample_->Stir();
  loop_.Settle();
}

TEST_P(DeviceConformance, HostileDrivers) {
  if (GetParam().mode == TestLoop::Mode::kThread) return;  // FuzzDevice() has a loop of its own
  std::mt19937 random(20240229);
  for (int round = 0; round < 300; ++round) {
    std::vector<uint8_t> bytes(random() % 2000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const std::unique_ptr<Sample> sample = GetParam().make();
    FuzzDevice(*sample, bytes.data(), bytes.size());
  }
}

}  // namespace hearth::virtio
