// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/config_file.h"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/control/resource_fake.h"

namespace hearth {
namespace {

using ::testing::HasSubstr;

class ConfigFileTest : public ::testing::Test {
 protected:
  ConfigFileTest() {
    resources_.push_back(std::make_unique<FakeResource>());
    resources_.push_back(std::make_unique<FakeFamily>());
  }
  std::string ErrorOf(absl::string_view json) {
    return std::string(ApplyConfig(json, resources_).message());
  }

  std::vector<std::unique_ptr<Resource>> resources_;
};

TEST_F(ConfigFileTest, WhatGoesInComesOut) {
  EXPECT_EQ(CollectConfig(resources_), R"({"parts":[]})");
  const char* text =
      R"({"sample":{"count":3,"path":"/a"},"parts":[{"id":"a"},{"id":"b","parts":[{"id":"c"}]}]})";
  EXPECT_EQ(ErrorOf(text), "");
  EXPECT_EQ(CollectConfig(resources_), text);
}

TEST_F(ConfigFileTest, TheOrderOfTheTextDoesNotMatter) {
  EXPECT_EQ(ErrorOf(R"({"parts":[{"id":"a"}],"sample":{"count":3}})"), "");
  EXPECT_EQ(CollectConfig(resources_), R"({"sample":{"count":3},"parts":[{"id":"a"}]})");
}

TEST_F(ConfigFileTest, ErrorsNameTheKeyAndTheField) {
  EXPECT_EQ(ErrorOf(R"({"smaple":{}})"),
            R"(unknown key "smaple", did you mean "sample"? (known: sample, parts))");
  EXPECT_EQ(ErrorOf(R"({"sample":[]})"), "sample: must be an object");
  EXPECT_EQ(ErrorOf(R"({"parts":{}})"), "parts: must be an array of objects");
  EXPECT_EQ(ErrorOf(R"({"sample":{"count":0}})"),
            "sample: count: got 0, must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"sample":{"count":1,"path":"/refused"}})"),
            "sample: path: got \"/refused\"");
  EXPECT_EQ(ErrorOf(R"({"parts":[{"id":"a"},{}]})"), "parts: missing required field id");
  EXPECT_THAT(ErrorOf("{\n\"sample\":{},\n}"), HasSubstr("not valid JSON at line 3, column 1"));
}

TEST_F(ConfigFileTest, ErrorsOfAFileBeginWithItsPath) {
  char path[] = "/tmp/config_file_test_XXXXXX";
  ASSERT_GE(mkstemp(path), 0);
  std::ofstream(path) << R"({"sample":{}})";
  EXPECT_EQ(ApplyConfigFile(path, resources_).message(),
            std::string(path) + ": sample: missing required field count");
  unlink(path);
  EXPECT_EQ(ApplyConfigFile(path, resources_).message(),
            std::string("open ") + path + ": No such file or directory");
}

}  // namespace
}  // namespace hearth
