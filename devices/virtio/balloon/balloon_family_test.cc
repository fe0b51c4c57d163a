// SPDX-License-Identifier: Apache-2.0
// The nouns of the balloon, spoken to in JSON, before and after the start.
#include "devices/virtio/balloon/balloon_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/virtio/core/mmio_transport.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"
#include "runtime/control/dispatch.h"
#include "runtime/control/machine_control_fake.h"

namespace hearth::virtio::balloon {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kWhole[] = R"({"amount_mib":4,"deflate_on_oom":true,"stats_polling_interval_s":60,)"
                          R"("free_page_hinting":true,"free_page_reporting":true})";
constexpr char kNone[] = "Balloon device not configured.";
constexpr char kTooLate[] = "The requested operation is not supported after starting the microVM.";
constexpr char kTooEarly[] =
    "The requested operation is not supported before starting the microVM.";

class BalloonFamilyTest : public testing::Test {
 protected:
  BalloonFamilyTest() { family_.AddResources(&resources_); }
  ~BalloonFamilyTest() override {
    if (transport_) transport_->Shutdown();
  }

  // The reply's JSON ("" for none), or the error's message.
  std::string Do(Method method, absl::string_view path, absl::string_view body = "") {
    for (const auto& resource : resources_) {
      if (resource->path() != path) continue;
      const Verb* verb = FindVerb(*resource, method);
      if (verb == nullptr) return "no such verb";
      std::unique_ptr<google::protobuf::MessageLite> message;
      if (verb->body != nullptr) {
        auto parsed = ParseBody(*resource, *verb, "", body);
        if (!parsed.ok()) return std::string(parsed.status().message());
        message = *std::move(parsed);
      }
      const absl::StatusOr<Reply> reply =
          Perform(*resource, *verb, "", message.get(), machine_.state());
      if (!reply.ok()) return std::string(reply.status().message());
      return reply->body != nullptr ? json::ToJson(*reply->body, *reply->schema) : reply->json;
    }
    return "no such path";
  }
  std::string Get(absl::string_view path) { return Do(Method::kGet, path); }
  std::string Put(absl::string_view path, absl::string_view body) {
    return Do(Method::kPut, path, body);
  }
  std::string Patch(absl::string_view path, absl::string_view body = "") {
    return Do(Method::kPatch, path, body);
  }

  // As InstanceStart does; a guest's driver comes with it.
  absl::Status StartMachine() {
    const DeviceContext context = loop_.Context(memory_.get());
    std::vector<DeviceRequest> requests = family_.Requests();
    EXPECT_EQ(requests.size(), 1u);
    auto device = requests[0].create(context);
    if (!device.ok()) return device.status();
    transport_ = *MmioTransport::Create(requests[0].path, *std::move(device), context);
    family_.Attach({DeviceHandle(&transport_->device(), loop_.loop(), true)});
    machine_.current = MachineControl::State::kRunning;
    driver_.emplace(transport_.get(), memory_.get(), GuestAddress(0x10000));
    EXPECT_TRUE(driver_->Start());
    loop_.Settle();
    return absl::OkStatus();
  }

  TestLoop loop_{TestLoop::Mode::kInline};
  std::unique_ptr<GuestMemory> memory_ = *GuestMemory::Create({.size_bytes = 16 << 20});
  FakeMachineControl machine_;
  BalloonFamily family_;
  std::vector<std::unique_ptr<Resource>> resources_;
  std::unique_ptr<MmioTransport> transport_;
  std::optional<TransportDriver> driver_;
};

TEST_F(BalloonFamilyTest, WithoutABalloonThereIsNothing) {
  EXPECT_EQ(Get("/balloon"), kNone);
  EXPECT_EQ(Patch("/balloon", R"({"amount_mib":1})"), kNone);
  EXPECT_EQ(Patch("/balloon/statistics", R"({"stats_polling_interval_s":1})"), kNone);
  EXPECT_EQ(Get("/balloon/statistics"), kTooEarly);
  EXPECT_TRUE(family_.Requests().empty());
  EXPECT_TRUE(resources_[0]->Config().empty());
  machine_.current = MachineControl::State::kRunning;
  family_.Attach({});
  EXPECT_EQ(Get("/balloon"), kNone);
  EXPECT_EQ(Get("/balloon/statistics"), kNone);
  EXPECT_EQ(Patch("/balloon/hinting/start", "{}"), kNone);
  EXPECT_EQ(Get("/balloon/hinting/status"), kNone);
  EXPECT_EQ(Patch("/balloon/hinting/stop"), kNone);
  EXPECT_EQ(Put("/balloon", kWhole), kTooLate);
}

TEST_F(BalloonFamilyTest, KeepsWhatItIsGiven) {
  EXPECT_EQ(Put("/balloon", kWhole), "");
  EXPECT_EQ(Get("/balloon"), kWhole);
  const std::vector<Reply> config = resources_[0]->Config();
  ASSERT_EQ(config.size(), 1u);
  EXPECT_EQ(json::ToJson(*config[0].body, *config[0].schema), kWhole);
  EXPECT_EQ(resources_[0]->config_key(), "balloon");
  // The next PUT replaces it all.
  EXPECT_EQ(Put("/balloon", R"({"amount_mib":1,"deflate_on_oom":false,"io_thread":3})"), "");
  EXPECT_EQ(Get("/balloon"),
            R"({"amount_mib":1,"deflate_on_oom":false,"stats_polling_interval_s":0,)"
            R"("free_page_hinting":false,"free_page_reporting":false,"io_thread":3})");
  EXPECT_EQ(family_.Requests()[0].io_thread, 3u);
  EXPECT_EQ(family_.Requests()[0].path, "balloon");
  // Before the start everything may still change.
  EXPECT_EQ(Patch("/balloon", R"({"amount_mib":2})"), "");
  EXPECT_EQ(Patch("/balloon/statistics", R"({"stats_polling_interval_s":5})"), "");
  EXPECT_THAT(Get("/balloon"), StartsWith(R"({"amount_mib":2,)"));
  EXPECT_THAT(Get("/balloon"), HasSubstr(R"("stats_polling_interval_s":5)"));
}

TEST_F(BalloonFamilyTest, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Put("/balloon", R"({"amount_mib":1})"),
            "balloon: missing required field deflate_on_oom");
  EXPECT_EQ(Put("/balloon", R"({"deflate_on_oom":true})"),
            "balloon: missing required field amount_mib");
  EXPECT_EQ(Put("/balloon", R"({"amount_mib":-1,"deflate_on_oom":true})"),
            "balloon: amount_mib: got -1, must be an integer from 0 to 16777215");
  EXPECT_EQ(
      Put("/balloon", R"({"amount_mib":1,"deflate_on_oom":true,"stats_polling_interval_s":65536})"),
      "balloon: stats_polling_interval_s: got 65536, must be an integer from 0 to 65535");
  EXPECT_EQ(Put("/balloon", R"({"amount_mib":1,"deflate_on_oom":true,"must_tell_host":true})"),
            "balloon: unknown field \"must_tell_host\" (known: amount_mib, deflate_on_oom, "
            "stats_polling_interval_s, free_page_hinting, free_page_reporting, io_thread)");
  EXPECT_EQ(Put("/balloon", kWhole), "");
  EXPECT_EQ(Patch("/balloon", "{}"), "balloon: missing required field amount_mib");
  EXPECT_EQ(Patch("/balloon", R"({"amount_mib":1,"deflate_on_oom":true})"),
            "balloon: unknown field \"deflate_on_oom\" (known: amount_mib)");
  EXPECT_EQ(Patch("/balloon/statistics", "{}"),
            "balloon/statistics: missing required field stats_polling_interval_s");
}

TEST_F(BalloonFamilyTest, ABalloonLargerThanMemoryDoesNotStart) {
  EXPECT_EQ(Put("/balloon", R"({"amount_mib":17,"deflate_on_oom":false})"), "");
  EXPECT_EQ(StartMachine().message(),
            "balloon: amount_mib: got 17, must be at most the machine's mem_size_mib of 16");
  EXPECT_EQ(Patch("/balloon", R"({"amount_mib":16})"), "");
  EXPECT_TRUE(StartMachine().ok());
}

TEST_F(BalloonFamilyTest, ChangesTheRunningDevice) {
  EXPECT_EQ(Put("/balloon", kWhole), "");
  ASSERT_TRUE(StartMachine().ok());
  EXPECT_EQ(driver_->Read(kConfig + kConfigNumPages), 4 * 256u);
  EXPECT_EQ(Put("/balloon", kWhole), kTooLate);
  EXPECT_EQ(Patch("/balloon", R"({"amount_mib":7})"), "");
  EXPECT_EQ(driver_->Read(kConfig + kConfigNumPages), 7 * 256u);
  EXPECT_THAT(Get("/balloon"), StartsWith(R"({"amount_mib":7,)"));
  EXPECT_EQ(Patch("/balloon", R"({"amount_mib":17})"),
            "balloon: amount_mib: got 17, must be at most the machine's mem_size_mib of 16");
  EXPECT_THAT(Get("/balloon"), StartsWith(R"({"amount_mib":7,)"));
}

TEST_F(BalloonFamilyTest, TellsStatistics) {
  EXPECT_EQ(Put("/balloon", kWhole), "");
  ASSERT_TRUE(StartMachine().ok());
  EXPECT_EQ(Get("/balloon/statistics"),
            R"({"target_pages":1024,"actual_pages":0,"target_mib":4,"actual_mib":0})");
  driver_->Write(kConfig + kConfigActual, 512);
  ASSERT_TRUE(driver_->Add(2, absl::string_view("\x04\0\x07\0\0\0\0\0\0\0", 10), 0).has_value());
  driver_->Kick(2);
  loop_.Settle();
  EXPECT_EQ(
      Get("/balloon/statistics"),
      R"({"target_pages":1024,"actual_pages":512,"target_mib":4,"actual_mib":2,"free_memory":7})");
  EXPECT_EQ(Patch("/balloon/statistics", R"({"stats_polling_interval_s":5})"), "");
  EXPECT_TRUE(driver_->queue(2).TakeUsed().has_value());
  EXPECT_THAT(Get("/balloon"), HasSubstr(R"("stats_polling_interval_s":5)"));
  EXPECT_THAT(Patch("/balloon/statistics", R"({"stats_polling_interval_s":0})"),
              StartsWith("Statistics cannot be turned on or off after boot"));
}

TEST_F(BalloonFamilyTest, StatisticsAndHintingWantToBeConfigured) {
  EXPECT_EQ(Put("/balloon", R"({"amount_mib":1,"deflate_on_oom":false})"), "");
  ASSERT_TRUE(StartMachine().ok());
  EXPECT_THAT(Get("/balloon/statistics"), StartsWith("The balloon statistics were not enabled"));
  EXPECT_THAT(Patch("/balloon/statistics", R"({"stats_polling_interval_s":1})"),
              StartsWith("Statistics cannot be turned on or off after boot"));
  EXPECT_THAT(Patch("/balloon/hinting/start", "{}"),
              StartsWith("Free page hinting was not enabled"));
  EXPECT_THAT(Get("/balloon/hinting/status"), StartsWith("Free page hinting was not enabled"));
  EXPECT_THAT(Patch("/balloon/hinting/stop"), StartsWith("Free page hinting was not enabled"));
}

TEST_F(BalloonFamilyTest, RunsHinting) {
  EXPECT_EQ(Put("/balloon", kWhole), "");
  EXPECT_EQ(Patch("/balloon/hinting/start", "{}"), kTooEarly);
  EXPECT_EQ(Get("/balloon/hinting/status"), kTooEarly);
  EXPECT_EQ(Patch("/balloon/hinting/stop"), kTooEarly);
  ASSERT_TRUE(StartMachine().ok());
  EXPECT_EQ(Get("/balloon/hinting/status"), R"({"host_cmd":0})");
  EXPECT_EQ(Patch("/balloon/hinting/start", "{}"), "");
  EXPECT_EQ(Get("/balloon/hinting/status"), R"({"host_cmd":2})");
  const auto say = [&](char command) {
    ASSERT_TRUE(driver_->Add(3, std::string{command, 0, 0, 0}, 0).has_value());
    driver_->Kick(3);
    loop_.Settle();
  };
  say(2);
  EXPECT_EQ(Get("/balloon/hinting/status"), R"({"host_cmd":2,"guest_cmd":2})");
  say(0);
  EXPECT_EQ(Get("/balloon/hinting/status"), R"({"host_cmd":1,"guest_cmd":0})")
      << "acknowledged by default";
  EXPECT_EQ(Patch("/balloon/hinting/start", R"({"acknowledge_on_stop":false})"), "");
  say(3);
  say(0);
  EXPECT_EQ(Get("/balloon/hinting/status"), R"({"host_cmd":3,"guest_cmd":0})");
  EXPECT_EQ(Patch("/balloon/hinting/stop"), "");
  EXPECT_EQ(Get("/balloon/hinting/status"), R"({"host_cmd":1,"guest_cmd":0})");
}

}  // namespace
}  // namespace hearth::virtio::balloon
