// SPDX-License-Identifier: Apache-2.0
#include "base/http1.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hearth::base::http1 {
namespace {

using ::testing::HasSubstr;
using State = RequestParser::State;

// Feeds `text` in pieces of `piece` bytes; returns the complete requests, and a refusal as the last
// one.
std::vector<std::string> Requests(absl::string_view text, size_t piece, Limits limits = {}) {
  RequestParser parser(limits);
  std::vector<std::string> seen;
  while (!text.empty()) {
    absl::string_view part = text.substr(0, piece);
    text.remove_prefix(part.size());
    while (!part.empty()) {
      switch (parser.Parse(&part)) {
        case State::kNeedsMore:
          EXPECT_TRUE(part.empty());
          break;
        case State::kComplete: {
          const Request& r = parser.request();
          seen.push_back(
              absl::StrCat(r.method, " ", r.target, r.keep_alive ? " " : " close ", r.body));
          break;
        }
        case State::kRefused:
          seen.push_back(absl::StrCat(parser.refusal().status, " ", parser.refusal().message));
          return seen;
      }
    }
  }
  return seen;
}

// The same whatever the pieces.
std::vector<std::string> Requests(absl::string_view text) {
  const std::vector<std::string> whole = Requests(text, text.size());
  for (const size_t piece : {1, 2, 3, 7, 50}) EXPECT_EQ(Requests(text, piece), whole) << piece;
  return whole;
}

TEST(Http1, ReadsPipelinedRequests) {
  EXPECT_THAT(Requests("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
                       "PUT /machine-config HTTP/1.1\r\nContent-Type: "
                       "application/json\r\ncontent-length:  3\r\n\r\n{ }"
                       "\r\nPATCH /vm HTTP/1.1\r\n\r\nDELETE http://localhost/x HTTP/1.1\r\n\r\n"),
              testing::ElementsAre("GET / ", "PUT /machine-config { }", "PATCH /vm ",
                                   "DELETE http://localhost/x "));
}

TEST(Http1, ReadsChunks) {
  EXPECT_THAT(Requests("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n2;ext=1\r\n "
                       "}\r\n0\r\nX: y\r\n\r\n"
                       "GET /b HTTP/1.1\r\n\r\n"),
              testing::ElementsAre("PUT /a { }", "GET /b "));
}

TEST(Http1, KnowsWhenAConnectionEnds) {
  EXPECT_THAT(Requests("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"),
              testing::ElementsAre("GET /a close "));
  EXPECT_THAT(Requests("GET /a HTTP/1.0\r\n\r\n"), testing::ElementsAre("GET /a close "));
  EXPECT_THAT(Requests("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
              testing::ElementsAre("GET /a "));
}

TEST(Http1, PassesOverAnUpgrade) {
  EXPECT_THAT(
      Requests(
          "PUT /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}"
          "GET /b HTTP/1.1\r\n\r\n"),
      testing::ElementsAre("PUT /a {}", "GET /b "));
}

TEST(Http1, RefusesWhatIsNotHttp) {
  for (const char* text :
       {"hello there\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "\x16\x03\x01",
        "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n"}) {
    const std::vector<std::string> seen = Requests(text, 1000);
    ASSERT_EQ(seen.size(), 1u) << text;
    EXPECT_EQ(seen[0].substr(0, 4), "400 ") << text;
  }
}

TEST(Http1, RefusesOtherVersions) {
  EXPECT_THAT(Requests("GET /\r\n\r\n", 100), testing::ElementsAre(HasSubstr("505 ")));
  EXPECT_EQ(Requests("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 100).size(), 1u);
}

TEST(Http1, HeadersHaveALimit) {
  const auto with = [](size_t bytes) {
    const std::string head = "GET / HTTP/1.1\r\nA: ";
    return absl::StrCat(head, std::string(bytes - head.size() - 4, 'x'), "\r\n\r\n");
  };
  for (const size_t piece : {1, 100, 100000}) {
    EXPECT_THAT(Requests(with(8192), piece), testing::ElementsAre("GET / ")) << piece;
    EXPECT_THAT(
        Requests(with(8193), piece),
        testing::ElementsAre("431 The request's headers are larger than the limit of 8192 bytes."))
        << piece;
    // Not only values count.
    EXPECT_THAT(Requests("GET /" + std::string(9000, 'x'), piece),
                testing::ElementsAre(HasSubstr("431")));
    EXPECT_THAT(Requests("GET / HTTP/1.1\r\n" + std::string(9000, 'x'), piece),
                testing::ElementsAre(HasSubstr("431")));
    EXPECT_THAT(Requests(absl::StrCat("GET / HTTP/1.1\r\nA:", std::string(9000, ' ')), piece),
                testing::ElementsAre(HasSubstr("431")));
  }
  // Each request has the whole limit.
  EXPECT_EQ(Requests(with(8000) + with(8000) + with(8000), 999).size(), 3u);
}

TEST(Http1, BodiesHaveALimit) {
  const Limits limits = {.max_body_bytes = 10};
  EXPECT_THAT(Requests("PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789", 5, limits),
              testing::ElementsAre("PUT /a 0123456789"));
  EXPECT_THAT(
      Requests("PUT /a HTTP/1.1\r\nContent-Length: 11\r\n\r\n", 5, limits),
      testing::ElementsAre(
          "413 Request payload with size 11 is larger than the limit of 10 allowed by server."));
  EXPECT_THAT(
      Requests("PUT /a HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", 5, limits),
      testing::ElementsAre(HasSubstr("413 ")));
  EXPECT_THAT(
      Requests("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n3\r\n012\r\n",
               500, limits),
      testing::ElementsAre(HasSubstr("413 ")));
}

TEST(Http1, TellsWhoWaitsForContinue) {
  RequestParser parser({});
  absl::string_view head = "PUT /a HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  EXPECT_FALSE(parser.in_request());
  EXPECT_EQ(parser.Parse(&head), State::kNeedsMore);
  EXPECT_TRUE(parser.in_request());
  EXPECT_TRUE(parser.TakeExpectContinue());
  EXPECT_FALSE(parser.TakeExpectContinue());
  absl::string_view body = "{}";
  EXPECT_EQ(parser.Parse(&body), State::kComplete);
  EXPECT_FALSE(parser.in_request());
  // Not for one whose body came along.
  absl::string_view together =
      "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{";
  EXPECT_EQ(parser.Parse(&together), State::kNeedsMore);
  EXPECT_FALSE(parser.TakeExpectContinue());
}

TEST(Http1, FormatsResponses) {
  EXPECT_EQ(FormatResponse(204, "", true),
            "HTTP/1.1 204 \r\nServer: Hearth API\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(FormatResponse(200, "{}", false),
            "HTTP/1.1 200 \r\nServer: Hearth API\r\nConnection: close\r\nContent-Type: "
            "application/json\r\n"
            "Content-Length: 2\r\n\r\n{}");
}

}  // namespace
}  // namespace hearth::base::http1
