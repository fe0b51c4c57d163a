// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/device_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "runtime/vmm/device_families.h"

namespace hearth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A device with one queue that does nothing; its state is a word.
class IdleDevice : public virtio::Device {
 public:
  uint32_t virtio_id() const override { return 42; }
  uint64_t features() const override { return 0; }
  absl::Span<const uint16_t> queue_sizes() const override {
    static constexpr uint16_t kSizes[] = {64};
    return kSizes;
  }
  virtio::ConfigSpace& config_space() override { return config_; }
  void Activate(virtio::Activation activation) override { queues_ = std::move(activation.queues); }
  void OnNotify(uint16_t) override {}
  void Deactivate(absl::AnyInvocable<void(virtio::Queues)> done) override {
    done(std::move(queues_));
  }
  void Reset() override {}
  std::string Save() override { return "idle"; }
  absl::Status Restore(absl::string_view state) override {
    if (state == "idle") return absl::OkStatus();
    return absl::InvalidArgumentError("not idle");
  }
  void VisitMetrics(base::MetricVisitor visitor) const override { visitor("idle_count", 7); }

 private:
  virtio::ConfigSpace config_{8};
  virtio::Queues queues_;
};

virtio::DeviceRequest Request(std::string path, uint32_t io_thread = 0) {
  return {.path = std::move(path),
          .io_thread = io_thread,
          .create =
              [](const virtio::DeviceContext&) -> absl::StatusOr<std::unique_ptr<virtio::Device>> {
            return std::make_unique<IdleDevice>();
          }};
}

virtio::DeviceRequest Broken(std::string path) {
  return {
      .path = path,
      .create =
          [path](const virtio::DeviceContext&) -> absl::StatusOr<std::unique_ptr<virtio::Device>> {
        return absl::NotFoundError(path + ": no such file");
      }};
}

class DeviceManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto memory = GuestMemory::Create({.size_bytes = 1 << 20});
    ASSERT_TRUE(memory.ok());
    memory_ = *std::move(memory);
    auto threads = IoThreads::Start(2, /*allow_io_uring=*/true);
    ASSERT_TRUE(threads.ok()) << threads.status();
    threads_ = *std::move(threads);
  }
  absl::StatusOr<std::unique_ptr<DeviceManager>> Create(
      std::vector<virtio::DeviceRequest> requests) {
    return DeviceManager::Create(std::move(requests), memory_.get(), threads_.get());
  }
  std::unique_ptr<DeviceManager> CreateTwo() {
    std::vector<virtio::DeviceRequest> requests;
    requests.push_back(Request("drives/a"));
    requests.push_back(Request("drives/b", 1));
    auto manager = Create(std::move(requests));
    EXPECT_TRUE(manager.ok()) << manager.status();
    return *std::move(manager);
  }

  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<IoThreads> threads_;
};

TEST(DeviceSlots, LieApartAndHaveFreeInterrupts) {
  const std::vector<MmioDeviceNode> slots = DeviceSlots(kMaxDevices);
  ASSERT_EQ(slots.size(), kMaxDevices);
  std::set<uint64_t> bases;
  for (const MmioDeviceNode& slot : slots) {
    EXPECT_EQ(slot.base % 4096, 0u);
    EXPECT_LT(slot.base + slot.size, 0xfec00000u) << "the IOAPIC begins there";
    EXPECT_TRUE(bases.insert(slot.base).second);
    EXPECT_LT(slot.gsi, 24u);
    for (const uint32_t taken : {0, 1, 2, 4, 8, 12}) EXPECT_NE(slot.gsi, taken);
  }
}

TEST(DeviceArguments, NameEachSlot) {
  EXPECT_EQ(DeviceArguments(DeviceSlots(2)),
            " virtio_mmio.device=4K@0xd0001000:5 virtio_mmio.device=4K@0xd0002000:6");
  EXPECT_EQ(DeviceArguments({}), "");
}

TEST_F(DeviceManagerTest, DevicesAnswerInTheirSlots) {
  const std::unique_ptr<DeviceManager> manager = CreateTwo();
  Bus::Builder builder;
  ASSERT_TRUE(manager->AddTo(builder).ok());
  const Bus bus = std::move(builder).Build();
  for (const uint64_t base : {0xd0001000, 0xd0002000}) {
    uint32_t device_id = 0;
    uint8_t bytes[4];
    ASSERT_TRUE(bus.Read(base + 8, absl::MakeSpan(bytes)));
    std::memcpy(&device_id, bytes, 4);
    EXPECT_EQ(device_id, 42u);
  }
}

TEST_F(DeviceManagerTest, AnErrorNamesTheDeviceAndLeavesNothing) {
  std::vector<virtio::DeviceRequest> requests;
  requests.push_back(Request("drives/a"));
  requests.push_back(Broken("drives/b"));
  const auto manager = Create(std::move(requests));
  EXPECT_EQ(manager.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(manager.status().message()), HasSubstr("drives/b"));
}

TEST_F(DeviceManagerTest, HandlesRunWorkOnTheDevicesOwnThread) {
  const std::unique_ptr<DeviceManager> manager = CreateTwo();
  const std::vector<virtio::DeviceHandle> handles = manager->Handles();
  ASSERT_EQ(handles.size(), 2u);
  std::set<pthread_t> threads = {pthread_self()};
  for (const virtio::DeviceHandle& handle : handles) {
    EXPECT_TRUE(handle
                    .Run([&](virtio::Device& device) {
                      EXPECT_EQ(&device, handle.get());
                      threads.insert(pthread_self());
                      return absl::OkStatus();
                    })
                    .ok());
  }
  EXPECT_EQ(threads.size(), 3u) << "each asked for a thread of its own";
}

TEST_F(DeviceManagerTest, WhatIsSavedCanBeRestored) {
  std::vector<virtio::DeviceState> states;
  {
    const std::unique_ptr<DeviceManager> manager = CreateTwo();
    manager->Pause();
    states = manager->Save();
    manager->Resume();
  }
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[1].path(), "drives/b");
  EXPECT_TRUE(CreateTwo()->Restore(states).ok());

  states[1].set_device("busy");
  const absl::Status wrong = CreateTwo()->Restore(states);
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("drives/b"));
  states.pop_back();
  const absl::Status few = CreateTwo()->Restore(states);
  EXPECT_THAT(std::string(few.message()), HasSubstr("1 virtio devices, the machine has 2"));
}

// A family with a fixed number of idle devices.
template <int kCount>
class Family : public virtio::DeviceFamily {
 public:
  void AddResources(std::vector<std::unique_ptr<Resource>>*) override {}
  std::vector<virtio::DeviceRequest> Requests() override {
    std::vector<virtio::DeviceRequest> requests;
    for (int i = 0; i < kCount; ++i) requests.push_back(Request(absl::StrCat(kCount, "/", i)));
    return requests;
  }
  std::string KernelArguments() const override {
    return kCount == 0 ? "" : absl::StrCat("n=", kCount);
  }
  void Attach(std::vector<virtio::DeviceHandle> handles) override {
    EXPECT_EQ(handles.size(), static_cast<size_t>(kCount));
  }
};

template <int kCount>
constexpr virtio::DeviceModule kModule = {
    .name = "idle",
    .virtio_id = 42,
    .create_family = []() -> std::unique_ptr<virtio::DeviceFamily> {
      return std::make_unique<Family<kCount>>();
    },
    .system_calls = {}};

TEST(DeviceFamilies, KeepsTheOrderOfTheModules) {
  static constexpr const virtio::DeviceModule* kModules[] = {&kModule<2>, &kModule<0>, &kModule<1>};
  DeviceFamilies families(kModules);
  const auto requests = families.Requests();
  ASSERT_TRUE(requests.ok());
  std::vector<std::string> paths;
  for (const virtio::DeviceRequest& request : *requests) paths.push_back(request.path);
  EXPECT_THAT(paths, ElementsAre("2/0", "2/1", "1/0"));
  EXPECT_EQ(families.KernelArguments(), " n=2 n=1");
  families.Attach(std::vector<virtio::DeviceHandle>(3));
}

TEST(DeviceFamilies, MetricsAreByDeviceAndByModule) {
  static constexpr const virtio::DeviceModule* kModules[] = {&kModule<2>};
  DeviceFamilies families(kModules);
  ASSERT_TRUE(families.Requests().ok());
  EXPECT_TRUE(families.CollectMetrics().empty()) << "there are no devices yet";
  IdleDevice first, second;
  families.Attach({virtio::DeviceHandle(&first, nullptr), virtio::DeviceHandle(&second, nullptr)});
  const auto metrics = families.CollectMetrics();
  EXPECT_EQ(metrics.at("idle").at("idle_count"), 14u);
  EXPECT_EQ(metrics.at("idle_0").at("idle_count"), 7u);
  EXPECT_EQ(metrics.at("idle_1").at("idle_count"), 7u);
}

TEST(DeviceFamilies, RefusesMoreThanAMachineHasSlotsFor) {
  static constexpr const virtio::DeviceModule* kModules[] = {&kModule<kMaxDevices>, &kModule<1>};
  const auto requests = DeviceFamilies(kModules).Requests();
  EXPECT_EQ(requests.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(requests.status().message()), HasSubstr("49 drives"));
}

}  // namespace
}  // namespace hearth
