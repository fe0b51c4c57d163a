// SPDX-License-Identifier: Apache-2.0
// The nouns that are small, and all of them together.
#include "runtime/resources/vm_config.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "runtime/control/config_file.h"
#include "runtime/resources/resource_test_base.h"

namespace hearth {
namespace {

using State = MachineControl::State;

TEST_F(ResourceTest, InstanceInfoTellsTheState) {
  EXPECT_EQ(Get("/"),
            R"({"id":"vm1","state":"Not started","vmm_version":"0.1.0","app_name":"Hearth"})");
  machine_.current = State::kRunning;
  EXPECT_THAT(Get("/"), testing::HasSubstr(R"("state":"Running")"));
  machine_.current = State::kPaused;
  EXPECT_THAT(Get("/"), testing::HasSubstr(R"("state":"Paused")"));
}

TEST_F(ResourceTest, VersionTellsTheLevelOfTheApi) {
  EXPECT_EQ(Get("/version"), R"({"firecracker_version":"1.17.0","hearth_version":"0.1.0"})");
}

TEST_F(ResourceTest, ActionsReachTheMachineInTheirPhase) {
  EXPECT_EQ(Put("/actions", R"({"action_type":"SendCtrlAltDel"})"), kTooEarly);
  machine_.start_status = absl::NotFoundError("no kernel");
  EXPECT_EQ(Put("/actions", R"({"action_type":"InstanceStart"})"), "no kernel");
  machine_.start_status = absl::OkStatus();
  EXPECT_EQ(Put("/actions", R"({"action_type":"InstanceStart"})"), "");
  EXPECT_EQ(machine_.current, State::kRunning);
  EXPECT_EQ(Put("/actions", R"({"action_type":"InstanceStart"})"), kTooLate);
  EXPECT_EQ(Put("/actions", R"({"action_type":"SendCtrlAltDel"})"), "");
  EXPECT_EQ(machine_.ctrl_alt_dels, 1);
  EXPECT_EQ(Put("/actions", R"({"action_type":"instancestart"})"),
            "actions: action_type: got \"instancestart\", must be one of \"InstanceStart\", "
            "\"SendCtrlAltDel\", "
            "\"FlushMetrics\"");
}

TEST_F(ResourceTest, VmPausesAndResumes) {
  EXPECT_EQ(Patch("/vm", R"({"state":"Paused"})"), kTooEarly);
  machine_.current = State::kRunning;
  EXPECT_EQ(Patch("/vm", R"({"state":"Paused"})"), "");
  EXPECT_EQ(machine_.current, State::kPaused);
  EXPECT_EQ(Patch("/vm", R"({"state":"Resumed"})"), "");
  EXPECT_EQ(machine_.current, State::kRunning);
  EXPECT_EQ(Patch("/vm", "{}"), "vm: missing required field state");
}

TEST_F(ResourceTest, SerialKeepsItsLimiter) {
  EXPECT_EQ(Put("/serial",
                R"({"serial_out_path":"/tmp/x","rate_limiter":{"size":10,"refill_time":100}})"),
            "");
  EXPECT_EQ(config_.serial->rate_limiter().size(), 10u);
  EXPECT_EQ(Put("/serial", R"({"rate_limiter":{"size":10}})"),
            "serial: rate_limiter: missing required field refill_time");
  EXPECT_TRUE(config_.serial->has_serial_out_path());
  EXPECT_EQ(Put("/serial", "{}"), "");
  EXPECT_FALSE(config_.serial->has_serial_out_path());
}

TEST_F(ResourceTest, LoggerChangesTheLogAtOnce) {
  const std::string path = testing::TempDir() + "/logger_test.log";
  unlink(path.c_str());
  EXPECT_EQ(Put("/logger",
                absl::StrCat(R"({"log_path":")", path, R"(","level":"warn","show_level":true})")),
            "");
  HEARTH_LOG(kInfo, "not this");
  HEARTH_LOG(kWarning, "but this");
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_THAT(text, testing::HasSubstr(":Warning] but this\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("not this")));
  // What a PUT leaves out stays.
  EXPECT_EQ(Put("/logger", R"({"level":"INFO","module":"api_server"})"), "");
  EXPECT_TRUE(base::GetLogOptions().show_level);
  EXPECT_EQ(base::GetLogOptions().level, base::LogLevel::kInfo);
  EXPECT_THAT(Get("/vm/config"),
              testing::HasSubstr(R"("level":"Info","show_level":true,"module":"api_server")"));

  EXPECT_EQ(Put("/logger", R"({"log_path":"/no/such/dir/log","level":"Off"})"),
            "logger: log_path: open /no/such/dir/log: No such file or directory; log_path must be "
            "a writable file or "
            "FIFO");
  EXPECT_EQ(base::GetLogOptions().level, base::LogLevel::kInfo);
}

TEST_F(ResourceTest, TheWholeConfigurationGoesInAsItComesOut) {
  EXPECT_EQ(Get("/vm/config"), absl::StrCat(R"({"machine-config":)", Get("/machine-config"), "}"));
  ASSERT_TRUE(
      ApplyConfig(
          R"({"serial":{"serial_out_path":"/tmp/x"},"machine-config":{"vcpu_count":4,"mem_size_mib":64},)"
          R"("boot-source":{"kernel_image_path":"/proc/self/exe"}})",
          resources_)
          .ok());
  const std::string first = Get("/vm/config");
  config_ = VmConfig();
  ASSERT_TRUE(ApplyConfig(first, resources_).ok());
  EXPECT_EQ(Get("/vm/config"), first);
  EXPECT_EQ(config_.machine.vcpu_count(), 4u);
}

}  // namespace
}  // namespace hearth
