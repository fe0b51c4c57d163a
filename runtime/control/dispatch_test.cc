// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/dispatch.h"

#include "gtest/gtest.h"
#include "runtime/control/resource_fake.h"

namespace hearth {
namespace {

using State = MachineControl::State;

std::string ParseError(const Resource& resource, Method method, absl::string_view id,
                       absl::string_view json) {
  return std::string(ParseBody(resource, *FindVerb(resource, method), id, json).status().message());
}

TEST(Dispatch, FindsVerbsAndIds) {
  const FakeResource one;
  const FakeFamily family;
  EXPECT_EQ(FindVerb(one, Method::kPatch)->phase, Phase::kAfterBoot);
  EXPECT_EQ(FindVerb(family, Method::kGet), nullptr);
  EXPECT_EQ(IdField(one), "");
  EXPECT_EQ(IdField(family), "id");
}

TEST(Dispatch, ErrorsBeginWithTheNoun) {
  EXPECT_EQ(ParseError(FakeResource(), Method::kPut, "", "{}"),
            "sample: missing required field count");
  EXPECT_EQ(ParseError(FakeFamily(), Method::kPut, "a", "[]"),
            "parts a: got an array, must be a JSON object");
  FakeResource one;
  json_test::Sample body;
  body.set_path("/refused");
  const Verb& put = *FindVerb(one, Method::kPut);
  EXPECT_EQ(Perform(one, put, "", &body, State::kNotStarted).status(),
            absl::InvalidArgumentError("sample: path: got \"/refused\""));
  // What is not about the body stands for itself.
  body.set_path("/failed");
  EXPECT_EQ(Perform(one, put, "", &body, State::kNotStarted).status(),
            absl::InternalError("the disk is on fire"));
}

TEST(Dispatch, TheBodysIdIsThePaths) {
  EXPECT_EQ(ParseError(FakeFamily(), Method::kPut, "a", R"({"id":"a"})"), "");
  EXPECT_EQ(ParseError(FakeFamily(), Method::kPut, "", R"({"id":"a"})"), "");
  EXPECT_EQ(ParseError(FakeFamily(), Method::kPut, "a", R"({"id":"b"})"),
            "parts a: id: got \"b\", must be \"a\" as in the path");
}

TEST(Dispatch, APatchMustChangeSomething) {
  EXPECT_EQ(ParseError(FakeResource(), Method::kPatch, "", "{}"), "Empty PATCH request.");
  EXPECT_EQ(ParseError(FakeResource(), Method::kPatch, "", R"({"path":null})"),
            "Empty PATCH request.");
  EXPECT_EQ(ParseError(FakeResource(), Method::kPatch, "", R"({"path":""})"), "");
}

TEST(Dispatch, PhasesAreKept) {
  EXPECT_TRUE(CheckPhase(Phase::kAny, State::kPaused).ok());
  EXPECT_TRUE(CheckPhase(Phase::kBeforeBoot, State::kNotStarted).ok());
  EXPECT_TRUE(CheckPhase(Phase::kAfterBoot, State::kPaused).ok());
  FakeResource one;
  EXPECT_EQ(
      Perform(one, *FindVerb(one, Method::kPut), "", nullptr, State::kRunning).status().message(),
      "The requested operation is not supported after starting the microVM.");
  EXPECT_EQ(Perform(one, *FindVerb(one, Method::kPatch), "", nullptr, State::kNotStarted)
                .status()
                .message(),
            "The requested operation is not supported before starting the microVM.");
}

}  // namespace
}  // namespace hearth
