// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth {
namespace {

using testing::HasSubstr;

std::string Error(std::vector<const char*> args) {
  const auto options = ParseOptions(args);
  return options.ok() ? "" : std::string(options.status().message());
}

TEST(Options, TakesFirecrackersFlags) {
  const auto options =
      ParseOptions({"--api-sock", "/tmp/x.sock", "--id=vm-1", "--level", "warn", "--config-file",
                    "c.json", "--no-api", "--boot-timer", "--log-path", "/tmp/log"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->api_sock, "/tmp/x.sock");
  EXPECT_EQ(options->id, "vm-1");
  EXPECT_EQ(options->log_level, base::LogLevel::kWarning);
  EXPECT_TRUE(options->no_api);
  EXPECT_TRUE(options->boot_timer);
  EXPECT_EQ(options->kvm_node, "/dev/kvm");
}

TEST(Options, ErrorsNameTheFlagAndTheRemedy) {
  EXPECT_THAT(Error({"--id", ""}), HasSubstr("--id"));
  EXPECT_THAT(Error({"--id", "a_b"}), HasSubstr("letters, digits or hyphens"));
  EXPECT_THAT(Error({"--id", std::string(65, 'a').c_str()}), HasSubstr("--id"));
  EXPECT_THAT(Error({"--level", "loud"}), HasSubstr("--level: got \"loud\""));
  EXPECT_THAT(Error({"--no-api"}), HasSubstr("--config-file"));
  EXPECT_THAT(Error({"--http-api-max-payload-size", "0"}), HasSubstr("must be 1 or more"));
  EXPECT_THAT(Error({"--api-sok", "x"}), HasSubstr("api-sock"));
  EXPECT_NE(Error({"stray"}), "");
}

TEST(Options, HelpNamesEveryFlagAndBeatsOtherErrors) {
  EXPECT_TRUE(ParseOptions({"--help", "--id", "bad id"})->help);
  EXPECT_THAT(HelpText(), HasSubstr("--api-sock"));
  EXPECT_THAT(HelpText(), HasSubstr("--kvm-node"));
}

}  // namespace
}  // namespace hearth
