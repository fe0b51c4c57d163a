// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/machine_config.h"

#include "runtime/resources/resource_test_base.h"

namespace hearth {
namespace {

constexpr char kPath[] = "/machine-config";

TEST_F(ResourceTest, MachineConfigHasDefaults) {
  EXPECT_EQ(
      Get(kPath),
      R"({"vcpu_count":1,"mem_size_mib":128,"smt":false,"track_dirty_pages":false,"huge_pages":"None",)"
      R"("cpu_template":"None","io_threads":1})");
}

TEST_F(ResourceTest, MachineConfigPutSetsWhatItLeavesOutToDefaults) {
  EXPECT_EQ(
      Put(kPath, R"({"vcpu_count":2,"mem_size_mib":256,"smt":true,"track_dirty_pages":true})"), "");
  EXPECT_EQ(
      Put(kPath, R"({"vcpu_count":3,"mem_size_mib":512,"cpu_template":"None","huge_pages":"2M"})"),
      "");
  EXPECT_EQ(
      Get(kPath),
      R"({"vcpu_count":3,"mem_size_mib":512,"smt":false,"track_dirty_pages":false,"huge_pages":"2M",)"
      R"("cpu_template":"None","io_threads":1})");
}

TEST_F(ResourceTest, MachineConfigPatchKeepsTheRest) {
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":2,"mem_size_mib":256,"smt":true})"), "");
  EXPECT_EQ(Patch(kPath, R"({"mem_size_mib":512})"), "");
  EXPECT_EQ(config_.machine.vcpu_count(), 2u);
  EXPECT_EQ(config_.machine.mem_size_mib(), 512u);
  EXPECT_TRUE(config_.machine.smt());
  EXPECT_EQ(Patch(kPath, "{}"), "Empty PATCH request.");
}

TEST_F(ResourceTest, MachineConfigRefusesWhatDoesNotFit) {
  const std::string before = Get(kPath);
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":0,"mem_size_mib":1})"),
            "machine-config: vcpu_count: got 0, must be an integer from 1 to 64");
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":65,"mem_size_mib":1})"),
            "machine-config: vcpu_count: got 65, must be an integer from 1 to 64");
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":1,"mem_size_mib":0})"),
            "machine-config: mem_size_mib: got 0, must be an integer from 1 to 16777216");
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":1})"),
            "machine-config: missing required field mem_size_mib");
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":3,"mem_size_mib":1,"smt":true})"),
            "machine-config: vcpu_count: got 3, must be 1 or even when smt is true");
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":1,"mem_size_mib":129,"huge_pages":"2M"})"),
            "machine-config: mem_size_mib: got 129, must be even when huge_pages is \"2M\"");
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":1,"mem_size_mib":128,"cpu_template":"T2"})"),
            "machine-config: cpu_template: the named templates are deprecated and not implemented, "
            "must be \"None\"");
  EXPECT_EQ(Get(kPath), before);
}

TEST_F(ResourceTest, MachineConfigRulesHoldForThePatchedWhole) {
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":3,"mem_size_mib":129})"), "");
  EXPECT_EQ(Patch(kPath, R"({"smt":true})"),
            "machine-config: vcpu_count: got 3, must be 1 or even when smt is true");
  EXPECT_EQ(Patch(kPath, R"({"huge_pages":"2M"})"),
            "machine-config: mem_size_mib: got 129, must be even when huge_pages is \"2M\"");
  EXPECT_EQ(Patch(kPath, R"({"smt":true,"vcpu_count":64})"), "");
  EXPECT_FALSE(config_.machine.huge_pages());
}

TEST_F(ResourceTest, MachineConfigIsFixedAfterTheStart) {
  machine_.current = MachineControl::State::kRunning;
  EXPECT_EQ(Put(kPath, R"({"vcpu_count":1,"mem_size_mib":1})"), kTooLate);
  EXPECT_EQ(Patch(kPath, R"({"vcpu_count":1})"), kTooLate);
  EXPECT_THAT(Get(kPath), testing::HasSubstr("\"vcpu_count\":1"));
}

}  // namespace
}  // namespace hearth
