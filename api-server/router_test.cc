// SPDX-License-Identifier: Apache-2.0
#include "api-server/router.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/common.json.h"
#include "runtime/control/machine_control_fake.h"
#include "runtime/control/resource_fake.h"

namespace hearth::api {
namespace {

// Its PATCH may come without a body.
class NodResource final : public FakeResource {
 public:
  absl::string_view path() const override { return "/nod"; }
  absl::Span<const Verb> verbs() const override {
    static constexpr Verb kVerbs[] = {{.method = Method::kPatch,
                                       .phase = Phase::kAny,
                                       .body = &kRateLimiterConfigSchema,
                                       .body_optional = true}};
    return kVerbs;
  }
  absl::StatusOr<Reply> Handle(const Call& call) override {
    return Reply{.json = json::ToJson(*call.body, kRateLimiterConfigSchema)};
  }
};

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    resources_.push_back(std::make_unique<FakeResource>());
    resources_.push_back(std::make_unique<FakeFamily>());
    resources_.push_back(std::make_unique<NodResource>());
  }
  // "204", or "400 " and the body.
  std::string Do(absl::string_view method, absl::string_view target, absl::string_view body = "") {
    const Router router(resources_, &machine_);
    const absl::StatusOr<Action> action = router.Route(method, target, body);
    const Response response = action.ok() ? router.Run(*action) : ErrorResponse(action.status());
    return absl::StrCat(response.status, response.body.empty() ? "" : " ", response.body);
  }
  static std::string Fault(absl::string_view message) {
    return absl::StrCat("400 ", FaultBody(message));
  }

  FakeMachineControl machine_;
  std::vector<std::unique_ptr<Resource>> resources_;
};

TEST_F(RouterTest, FindsTheResourceAndTheVerb) {
  EXPECT_EQ(Do("PUT", "/sample", R"({"count":1,"path":"/a"})"), "204");
  EXPECT_EQ(Do("GET", "/sample"), R"(200 {"count":1,"path":"/a"})");
  EXPECT_EQ(Do("GET", "/sample/"), R"(200 {"count":1,"path":"/a"})");
  EXPECT_EQ(Do("GET", "http://localhost/sample"), R"(200 {"count":1,"path":"/a"})");
  machine_.current = MachineControl::State::kRunning;
  EXPECT_EQ(Do("PATCH", "/sample", R"({"path":"/b"})"), "204");
  EXPECT_EQ(Do("GET", "/sample"), R"(200 {"count":1,"path":"/b"})");
}

TEST_F(RouterTest, RefusesUnknownPathsAndMethods) {
  EXPECT_EQ(Do("GET", "/foo"), Fault("Invalid request method and/or path: GET foo."));
  EXPECT_EQ(Do("GET", "/sample/x"), Fault("Invalid request method and/or path: GET sample/x."));
  EXPECT_EQ(Do("GET", "/sampl"), Fault("Invalid request method and/or path: GET sampl."));
  EXPECT_EQ(Do("GET", "/sample?a=b"), Fault("Invalid request method and/or path: GET sample?a=b."));
  EXPECT_EQ(Do("DELETE", "/sample"), Fault("Invalid request method and/or path: DELETE sample."));
  EXPECT_EQ(Do("GET", "/parts/a"), Fault("Invalid request method and/or path: GET parts/a."));
  EXPECT_EQ(Do("PUT", "/parts/a/b", "{}"),
            Fault("Invalid request method and/or path: PUT parts/a/b."));
  EXPECT_EQ(Do("GET", "*"), Fault("Invalid request method and/or path: GET *."));
  EXPECT_EQ(Do("GET", "http://localhost"), Fault("Invalid request method and/or path: GET ."));
  EXPECT_LT(Do("GET", "/" + std::string(8000, 'x')).size(), 200u);
}

TEST_F(RouterTest, TakesTheIdFromThePath) {
  EXPECT_EQ(Do("PUT", "/parts/a_1", R"({"id":"a_1"})"), "204");
  EXPECT_EQ(Do("PUT", "/parts/a", R"({"id":"b"})"),
            Fault("parts a: id: got \"b\", must be \"a\" as in the path"));
  EXPECT_EQ(Do("PUT", "/parts", R"({"id":"b"})"), Fault("The ID cannot be empty."));
  EXPECT_EQ(Do("PUT", "/parts/", R"({"id":"b"})"), Fault("The ID cannot be empty."));
  EXPECT_EQ(Do("PUT", "/parts/a-b", R"({"id":"a-b"})"),
            Fault("API Resource IDs can only contain alphanumeric characters and underscores."));
}

TEST_F(RouterTest, ABodyMayBeOptional) {
  EXPECT_EQ(Do("PATCH", "/nod"), "200 {}");
  EXPECT_EQ(Do("PATCH", "/nod", R"({"ops":{"size":1,"refill_time":2}})"),
            R"(200 {"ops":{"size":1,"refill_time":2}})");
  EXPECT_EQ(Do("PATCH", "/nod", R"({"a":1})").substr(0, 4), "400 ");
}

TEST_F(RouterTest, BodiesAreThereWhereTheyBelong) {
  EXPECT_EQ(Do("GET", "/sample", "{}"), Fault("GET request cannot have a body."));
  EXPECT_EQ(Do("PUT", "/sample"), Fault("Empty PUT request."));
  EXPECT_EQ(Do("PATCH", "/sample"), Fault("Empty PATCH request."));
  EXPECT_EQ(Do("PATCH", "/sample", "{}"), Fault("Empty PATCH request."));
  EXPECT_EQ(Do("PUT", "/sample", "{\"path\":\"\xff\"}").substr(0, 50),
            Fault("sample: not valid JSON at line 1, column").substr(0, 50));
}

TEST_F(RouterTest, ErrorsKeepTheirKind) {
  EXPECT_EQ(Do("PATCH", "/sample", R"({"on":true})"),
            Fault("The requested operation is not supported before starting the microVM."));
  EXPECT_EQ(Do("PUT", "/sample", R"({"count":1,"path":"/refused"})"),
            Fault("sample: path: got \"/refused\""));
  EXPECT_EQ(Do("PUT", "/sample", R"({"count":1,"path":"/failed"})"),
            absl::StrCat("500 ", FaultBody("the disk is on fire")));
  EXPECT_EQ(FaultBody("a \"b\"\n\xff"), "{\"fault_message\":\"a \\\"b\\\"\\n\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace hearth::api
