// SPDX-License-Identifier: Apache-2.0
#include "base/command_line.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hearth::base {
namespace {

using ::testing::ElementsAre;

class CommandLineTest : public ::testing::Test {
 protected:
  std::string ErrorOf(std::vector<const char*> args) {
    const auto rest = ParseCommandLine(flags_, args);
    rest_ = rest.ok() ? *rest : std::vector<std::string>();
    return std::string(rest.status().message());
  }

  bool no_api_ = false;
  uint64_t limit_ = 51200;
  std::string id_ = "anonymous";
  std::optional<std::string> socket_;
  std::vector<std::string> nodes_;
  std::vector<std::string> rest_;
  const Flag flags_[5] = {
      {"no-api", "", "Runs without the API.", &no_api_},
      {"http-api-max-payload-size", "BYTES",
       "The largest body that a request may have, in bytes of its JSON text.", &limit_},
      {"id", "NAME", "The instance's name.", &id_},
      {"api-sock", "PATH", "Where the API listens.", &socket_},
      {"node", "PATH", "A device node to keep.", &nodes_},
  };
};

TEST_F(CommandLineTest, BothFormsOfAValue) {
  EXPECT_EQ(ErrorOf({"--api-sock", "/a", "--id=b=c", "--no-api", "--http-api-max-payload-size", "0",
                     "--node", "x", "--node=", "--", "--id", "y"}),
            "");
  EXPECT_TRUE(no_api_);
  EXPECT_EQ(socket_, "/a");
  EXPECT_EQ(id_, "b=c");
  EXPECT_EQ(limit_, 0u);
  EXPECT_THAT(nodes_, ElementsAre("x", ""));
  EXPECT_THAT(rest_, ElementsAre("--id", "y"));
}

TEST_F(CommandLineTest, NothingLeavesTheDefaults) {
  EXPECT_EQ(ErrorOf({}), "");
  EXPECT_EQ(id_, "anonymous");
  EXPECT_FALSE(socket_.has_value());
}

TEST_F(CommandLineTest, ErrorsSayWhatToDo) {
  EXPECT_EQ(ErrorOf({"--api-sokc", "/a"}), "unknown flag --api-sokc, did you mean --api-sock?");
  EXPECT_EQ(ErrorOf({"--frobnicate"}), "unknown flag --frobnicate; see --help");
  EXPECT_EQ(ErrorOf({"--api-sock"}), "--api-sock: needs a value (PATH)");
  EXPECT_EQ(ErrorOf({"--api-sock", "--no-api"}), "--api-sock: needs a value (PATH)");
  EXPECT_EQ(ErrorOf({"--no-api=true"}), "--no-api: takes no value");
  EXPECT_EQ(ErrorOf({"--id", "a", "--id", "b"}), "--id: is there twice");
  EXPECT_EQ(ErrorOf({"-h"}), "\"-h\": not a flag; see --help");
  EXPECT_EQ(ErrorOf({"run"}), "\"run\": not a flag; see --help");
  for (const char* bad : {"", "-1", "1k", "0x10", "18446744073709551616", " 1"}) {
    EXPECT_EQ(ErrorOf({"--http-api-max-payload-size", bad}),
              std::string("--http-api-max-payload-size: got \"") + bad +
                  "\", must be an integer from 0 to 18446744073709551615");
  }
}

TEST_F(CommandLineTest, HelpIsMadeFromTheTable) {
  EXPECT_EQ(FormatFlags(flags_),
            "  --no-api                  Runs without the API.\n"
            "  --http-api-max-payload-size BYTES\n"
            "                            The largest body that a request may have, in bytes\n"
            "                            of its JSON text. Default: 51200.\n"
            "  --id NAME                 The instance's name. Default: anonymous.\n"
            "  --api-sock PATH           Where the API listens.\n"
            "  --node PATH               A device node to keep.\n");
}

}  // namespace
}  // namespace hearth::base
