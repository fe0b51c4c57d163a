// SPDX-License-Identifier: Apache-2.0
#include "proto/json_schema.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/json_schema_test.json.h"

namespace hearth::json {
namespace {

using ::hearth::json_test::kSampleSchema;
using ::hearth::json_test::Sample;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorOf(absl::string_view json, Presence presence = Presence::kPartial) {
  Sample sample;
  const absl::Status status = MergeFromJson(json, kSampleSchema, presence, &sample);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(status.ok() || sample.ByteSizeLong() == 0) << "changed by a failed parse";
  return std::string(status.message());
}

std::string RoundTrip(absl::string_view json) {
  Sample sample;
  const absl::Status status = MergeFromJson(json, kSampleSchema, Presence::kPartial, &sample);
  EXPECT_TRUE(status.ok()) << status;
  return ToJson(sample, kSampleSchema);
}

TEST(JsonSchema, EveryKindOfFieldGoesThroughUnchanged) {
  for (
      const char* json : {
          R"({})",
          R"({"count":64,"offset":-5,"wide":-9223372036854775808,"huge":18446744073709551615,"on":false})",
          R"({"short-name":"abcdefgh","path":"/a \"b\" \\ é","pages":"None","color":"GREEN"})",
          R"({"limiter":{"bandwidth":{"size":0,"one_time_burst":3,"refill_time":100}}})",
          R"({"parts":[{"id":"a","parts":[{"id":"b"}]},{"id":""}],"numbers":[0,4294967295],"words":["",""],)"
          R"("colors":["RED","GREEN"]})",
      }) {
    EXPECT_EQ(RoundTrip(json), json);
  }
}

TEST(JsonSchema, WhiteSpaceAndEscapesAreRead) {
  EXPECT_EQ(RoundTrip(" {\n\t\"path\" : \"\\u00e9\\ud83d\\ude00\\n\\/\" } \r\n"),
            R"({"path":"é😀\n/"})");
}

TEST(JsonSchema, UnsetAndZeroDiffer) {
  Sample sample;
  ASSERT_TRUE(
      MergeFromJson(R"({"huge":0,"wide":null})", kSampleSchema, Presence::kPartial, &sample).ok());
  EXPECT_TRUE(sample.has_huge());
  EXPECT_FALSE(sample.has_wide());
  EXPECT_EQ(ToJson(sample, kSampleSchema), R"({"huge":0})");
}

TEST(JsonSchema, MergesIntoWhatIsThere) {
  Sample sample;
  sample.set_count(3);
  sample.set_path("/old");
  ASSERT_TRUE(MergeFromJson(R"({"path":"/new"})", kSampleSchema, Presence::kPartial, &sample).ok());
  EXPECT_EQ(ToJson(sample, kSampleSchema), R"({"count":3,"path":"/new"})");
}

TEST(JsonSchema, IntegersKeepTheirRange) {
  EXPECT_EQ(ErrorOf(R"({"count":0})"), "count: got 0, must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"count":65})"), "count: got 65, must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"count":-1})"), "count: got -1, must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"count":1.0})"), "count: got 1.0, must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"count":1e1})"), "count: got 1e1, must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"count":"2"})"), "count: got \"2\", must be an integer from 1 to 64");
  EXPECT_EQ(ErrorOf(R"({"offset":-6})"),
            "offset: got -6, must be an integer from -5 to 2147483647");
  EXPECT_EQ(ErrorOf(R"({"wide":9223372036854775808})"),
            "wide: got 9223372036854775808, must be an integer from -9223372036854775808 to "
            "9223372036854775807");
  EXPECT_EQ(ErrorOf(R"({"huge":18446744073709551616})"),
            "huge: got 18446744073709551616, must be an integer from 0 to 18446744073709551615");
  EXPECT_THAT(ErrorOf(R"({"huge":1)" + std::string(250, '0') + "}"),
              HasSubstr("0..., must be an integer"));
}

TEST(JsonSchema, NothingIsCoerced) {
  EXPECT_EQ(ErrorOf(R"({"on":1})"), "on: got 1, must be true or false");
  EXPECT_EQ(ErrorOf(R"({"on":"true"})"), "on: got \"true\", must be true or false");
  EXPECT_EQ(ErrorOf(R"({"path":5})"), "path: got 5, must be a string");
  EXPECT_EQ(ErrorOf(R"({"path":{}})"), "path: got an object, must be a string");
  EXPECT_EQ(ErrorOf(R"({"path":["a"]})"), "path: got an array, must be a string");
  EXPECT_EQ(ErrorOf(R"({"limiter":3})"), "limiter: got 3, must be an object");
  EXPECT_EQ(ErrorOf(R"({"limiter":[{}]})"), "limiter: got an array, must be an object");
  EXPECT_EQ(ErrorOf(R"({"parts":{}})"), "parts: got an object, must be an array");
  EXPECT_EQ(ErrorOf(R"({"numbers":1})"), "numbers: got 1, must be an array");
}

TEST(JsonSchema, EnumsGoByName) {
  EXPECT_EQ(RoundTrip(R"({"pages":"2MiB","color":"green"})"), R"({"pages":"2M","color":"GREEN"})");
  EXPECT_EQ(ErrorOf(R"({"pages":"none"})"), R"(pages: got "none", must be one of "None", "2M")");
  EXPECT_EQ(ErrorOf(R"({"pages":1})"), R"(pages: got 1, must be one of "None", "2M")");
  EXPECT_EQ(ErrorOf(R"({"pages":"PAGES_UNSPECIFIED"})"),
            R"(pages: got "PAGES_UNSPECIFIED", must be one of "None", "2M")");
}

TEST(JsonSchema, StringsKeepTheirLength) {
  EXPECT_EQ(ErrorOf(R"({"short-name":""})"),
            "short-name: got 0 bytes, must be a string of 1 to 8 bytes");
  EXPECT_EQ(ErrorOf(R"({"short-name":"abcdefghi"})"),
            "short-name: got 9 bytes, must be a string of 1 to 8 bytes");
  EXPECT_EQ(ErrorOf(R"({"at_least_two":"a"})"),
            "at_least_two: got 1 bytes, must be a string of at least 2 bytes");
  EXPECT_EQ(ErrorOf(R"({"path":"a\u0000b"})"), "path: must not contain a NUL character");
}

TEST(JsonSchema, PathsLeadToTheFieldInside) {
  EXPECT_EQ(ErrorOf(R"({"limiter":{"ops":{"size":-1,"refill_time":1}}})"),
            "limiter.ops.size: got -1, must be an integer from 0 to 18446744073709551615");
  EXPECT_EQ(ErrorOf(R"({"parts":[{"id":"a"},{"id":1}]})"), "parts[1].id: got 1, must be a string");
  EXPECT_EQ(ErrorOf(R"({"parts":[{"id":"a"},7]})"), "parts[1]: got 7, must be an object");
  EXPECT_EQ(ErrorOf(R"({"numbers":[1,2,"x"]})"),
            R"(numbers[2]: got "x", must be an integer from 0 to 4294967295)");
  EXPECT_EQ(ErrorOf(R"({"parts":[{"id":"a"},{}]})"), "parts[1]: missing required field id");
}

TEST(JsonSchema, RequiredFieldsMustBeThere) {
  EXPECT_EQ(ErrorOf("{}", Presence::kFull), "missing required field count");
  EXPECT_EQ(ErrorOf("{}", Presence::kPartial), "");
  EXPECT_EQ(ErrorOf(R"({"count":null})", Presence::kFull),
            "count: got null, must be an integer from 1 to 64");
  // A PATCH replaces inner messages as a whole.
  EXPECT_EQ(ErrorOf(R"({"limiter":{"ops":{}}})"),
            "limiter.ops: missing required fields size, refill_time");
}

TEST(JsonSchema, NullMeansUnsetWhereThatIsAllowed) {
  EXPECT_EQ(RoundTrip(R"({"limiter":null,"path":null,"pages":null})"), "{}");
  EXPECT_EQ(ErrorOf(R"({"numbers":null})"), "numbers: got null, must be an array");
  EXPECT_EQ(ErrorOf(R"({"numbers":[null]})"),
            "numbers[0]: got null, must be an integer from 0 to 4294967295");
}

TEST(JsonSchema, UnknownAndDuplicateFieldsAreRefused) {
  EXPECT_THAT(ErrorOf(R"({"cuont":1})"),
              StartsWith(R"(unknown field "cuont", did you mean "count"? (known: count, )"));
  EXPECT_THAT(ErrorOf(R"({"zzzzzzzzzzzz":1})"),
              StartsWith(R"(unknown field "zzzzzzzzzzzz" (known: count, )"));
  EXPECT_THAT(ErrorOf(R"({"short_name":"a"})"), HasSubstr(R"(did you mean "short-name"?)"));
  EXPECT_EQ(ErrorOf(R"({"limiter":{"op":{}}})"),
            R"(limiter: unknown field "op", did you mean "ops"? (known: bandwidth, ops))");
  EXPECT_EQ(ErrorOf(R"({"count":1,"count":1})"), "count: is there twice");
  EXPECT_EQ(ErrorOf(R"({"path":null,"path":"a"})"), "path: is there twice");
  EXPECT_THAT(ErrorOf("{\"a\\u0001\xc3\xa9\":1}"),
              StartsWith("unknown field \"a\\u0001\xc3\xa9\""));
}

TEST(JsonSchema, OnlyJsonIsTaken) {
  EXPECT_EQ(ErrorOf(""), "it is empty, must be a JSON object");
  EXPECT_EQ(ErrorOf("  \n"), "it is empty, must be a JSON object");
  EXPECT_EQ(ErrorOf("[]"), "got an array, must be a JSON object");
  EXPECT_EQ(ErrorOf("7"), "got 7, must be a JSON object");
  EXPECT_EQ(ErrorOf("null"), "got null, must be a JSON object");
  EXPECT_EQ(ErrorOf("\"a\""), "got \"a\", must be a JSON object");
  for (const char* bad :
       {"{", "{}}", "{} x", "{\"count\":1,}", "{count:1}", "{'count':1}", "/**/{}",
        "{\"count\":1 2}", "{\"count\":+1}", "{\"count\":.5}", "{\"count\":1x}", "{\"count\":NaN}",
        "{\"count\":1}\x01", "\xef\xbb\xbf{}", "{\"numbers\":[1,]}", "{\"path\":\"\t\"}",
        "{\"on\":True}", "{}{}"}) {
    EXPECT_THAT(ErrorOf(bad), StartsWith("not valid JSON at line 1, column ")) << bad;
  }
  EXPECT_THAT(ErrorOf("{\n\n  \"count\" 1}"), StartsWith("not valid JSON at line 3, column 11: "));
  EXPECT_EQ(ErrorOf(absl::string_view("{}\0x", 4)),
            "not valid JSON at line 1, column 3: a NUL byte");
}

TEST(JsonSchema, InvalidUtf8IsRefused) {
  for (const char* bad :
       {"{\"path\":\"\xff\"}", "{\"path\":\"\xc0\xaf\"}", "{\"path\":\"\xed\xa0\x80\"}",
        "{\"path\":\"\xf4\x90\x80\x80\"}", "{\"path\":\"\xe2\x82\"}", "{\"path\":\"\\ud800\"}",
        "{\"path\":\"\\ud800\\u0041\"}", "{\"\xff\":1}"}) {
    EXPECT_THAT(ErrorOf(bad), StartsWith("not valid JSON at ")) << bad;
  }
}

TEST(JsonSchema, NestingIsBounded) {
  std::string json = "{";
  for (size_t i = 0; i < 20; ++i) json += R"("parts":[{"id":"x",)";
  EXPECT_THAT(ErrorOf(json), HasSubstr("nested too deeply"));
  EXPECT_THAT(ErrorOf("{\"path\":" + std::string(50000, '[')), HasSubstr("got an array"));
  EXPECT_THAT(ErrorOf(std::string(50000, '[')), HasSubstr("got an array"));
}

TEST(JsonSchema, ErrorsRepeatOnlyTheBeginningOfAValue) {
  const std::string error = ErrorOf(R"({"on":")" + std::string(30000, 'x') + "\"}");
  EXPECT_LT(error.size(), 100u);
  EXPECT_THAT(ErrorOf("{\"on\":\"" + std::string(39, 'x') + "\xc3\xa9yyy\"}"),
              HasSubstr("\"" + std::string(39, 'x') + "...\""));
}

TEST(JsonString, EscapesAndRepairs) {
  std::string out;
  AppendString(absl::string_view("a\"\\\n\t\x01\x7f\0\xc3\xa9\xff\xed\xa0\x80z\xe2\x82", 17), &out);
  EXPECT_EQ(out,
            "\"a\\\"\\\\\\n\\t\\u0001\\u007f\\u0000\xc3\xa9"
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(SplitObject, FindsTheParts) {
  const absl::StatusOr<std::vector<Member>> members = SplitObject(
      R"( { "boot-source" : {"a": {"b": [1]}} , "drives": [ {"id":"}"}, {} ], "net": [] } )");
  ASSERT_TRUE(members.ok()) << members.status();
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ((*members)[0].name, "boot-source");
  EXPECT_FALSE((*members)[0].is_array);
  EXPECT_THAT((*members)[0].objects, ElementsAre(R"({"a": {"b": [1]}})"));
  EXPECT_TRUE((*members)[1].is_array);
  EXPECT_THAT((*members)[1].objects, ElementsAre(R"({"id":"}"})", "{}"));
  EXPECT_TRUE((*members)[2].is_array);
  EXPECT_TRUE((*members)[2].objects.empty());
}

TEST(SplitObject, RefusesWhatIsNoSetOfObjects) {
  const auto error = [](absl::string_view json) {
    return std::string(SplitObject(json).status().message());
  };
  EXPECT_EQ(error("[]"), "must be a JSON object");
  EXPECT_EQ(error("1"), "must be a JSON object");
  EXPECT_EQ(error(R"({"a":1})"), "a: must be an object or an array of objects");
  EXPECT_EQ(error(R"({"a":null})"), "a: must be an object or an array of objects");
  EXPECT_EQ(error(R"({"a":[1]})"), "a: must be an object in each place of the array");
  EXPECT_EQ(error(R"({"a":[[]]})"), "a: must be an object in each place of the array");
  EXPECT_EQ(error(R"({"a":{},"a":{}})"), "a: is there twice");
  EXPECT_THAT(error("{\"a\":{\"b\":" + std::string(40000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(error("{\"a\":{}"), HasSubstr("not valid JSON at line 1, column 8"));
}

}  // namespace
}  // namespace hearth::json
