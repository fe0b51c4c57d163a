// SPDX-License-Identifier: Apache-2.0
#include "base/http1.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "llhttp.h"

namespace hearth::base::http1 {

namespace {
constexpr absl::string_view kServerHeader = "Server: Hearth API\r\n";
}  // namespace

struct RequestParser::Impl {
  explicit Impl(const Limits& l) : limits(l) {
    static const llhttp_settings_t settings = MakeSettings();
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = this;
  }

  static Impl& Of(llhttp_t* p) { return *static_cast<Impl*>(p->data); }

  static llhttp_settings_t MakeSettings() {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_message_begin = [](llhttp_t* p) {
      Of(p).Begin();
      return 0;
    };
    s.on_url = [](llhttp_t* p, const char* at, size_t n) {
      Of(p).request.target.append(at, n);
      return 0;
    };
    s.on_header_field = [](llhttp_t* p, const char* at, size_t n) {
      Impl& impl = Of(p);
      if (!impl.in_headers) return 0;  // a trailer
      if (std::exchange(impl.in_value, false)) impl.FinishHeader();
      impl.header_name.append(at, n);
      return 0;
    };
    s.on_header_value = [](llhttp_t* p, const char* at, size_t n) {
      Impl& impl = Of(p);
      if (!impl.in_headers) return 0;
      impl.in_value = true;
      impl.header_value.append(at, n);
      return 0;
    };
    s.on_headers_complete = [](llhttp_t* p) { return Of(p).HeadersComplete(); };
    s.on_body = [](llhttp_t* p, const char* at, size_t n) { return Of(p).Body({at, n}); };
    s.on_message_complete = [](llhttp_t* p) {
      Of(p).complete = true;
      return static_cast<int>(HPE_PAUSED);
    };
    return s;
  }

  void Begin() {
    request = {};
    header_name.clear();
    header_value.clear();
    in_value = false;
    in_headers = true;
    started = true;
    expect_continue = false;
  }

  void FinishHeader() {
    if (absl::EqualsIgnoreCase(header_name, "Expect") &&
        absl::EqualsIgnoreCase(header_value, "100-continue")) {
      expect_continue = true;
    }
    header_name.clear();
    header_value.clear();
  }

  int HeadersComplete() {
    FinishHeader();
    in_headers = false;
    request.method = llhttp_method_name(static_cast<llhttp_method_t>(parser.method));
    request.keep_alive = llhttp_should_keep_alive(&parser) != 0;
    // An Upgrade is an offer that a server may pass over (RFC 9110, "Upgrade").
    parser.upgrade = 0;
    if (parser.http_major != 1) return Refuse(505, "the protocol must be HTTP/1.0 or HTTP/1.1");
    if (parser.method == HTTP_CONNECT) return Refuse(400, "CONNECT is not supported");
    // Refused before the body is on its way.
    if ((parser.flags & F_CONTENT_LENGTH) != 0 && parser.content_length > limits.max_body_bytes) {
      return RefuseBody(parser.content_length);
    }
    expect_continue = expect_continue && parser.http_minor >= 1 &&
                      ((parser.flags & F_CHUNKED) != 0 || parser.content_length > 0);
    return 0;
  }

  int Body(absl::string_view data) {
    expect_continue = false;
    if (data.size() > limits.max_body_bytes - request.body.size()) {
      return RefuseBody(request.body.size() + data.size());
    }
    request.body.append(data.data(), data.size());
    return 0;
  }

  int RefuseBody(uint64_t bytes) {
    return Refuse(413,
                  absl::StrCat("Request payload with size ", bytes, " is larger than the limit of ",
                               limits.max_body_bytes, " allowed by server."));
  }

  int Refuse(int status, std::string message) {
    refusal = {status, std::move(message)};
    return HPE_USER;
  }

  const Limits limits;
  llhttp_t parser;
  Request request;
  Refusal refusal = {0, ""};
  std::string header_name;
  std::string header_value;
  size_t header_bytes = 0;
  bool in_value = false;
  bool in_headers = true;  // or before a request
  bool started = false;
  bool complete = false;
  bool expect_continue = false;
};

RequestParser::RequestParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::State RequestParser::Parse(absl::string_view* data) {
  Impl& impl = *impl_;
  if (impl.refusal.status != 0) return State::kRefused;
  if (std::exchange(impl.complete, false)) {
    impl.started = false;
    impl.in_headers = true;
    impl.header_bytes = 0;
    llhttp_resume(&impl.parser);
  }
  while (!data->empty()) {
    // Headers are fed up to their limit only, so that every byte of them counts, whatever it
    // belongs to.
    const size_t fed =
        impl.in_headers ? std::min(data->size(), impl.limits.max_header_bytes - impl.header_bytes)
                        : data->size();
    const llhttp_errno_t error = llhttp_execute(&impl.parser, data->data(), fed);
    const size_t taken =
        error == HPE_OK ? fed
                        : static_cast<size_t>(llhttp_get_error_pos(&impl.parser) - data->data());
    data->remove_prefix(taken);
    if (error == HPE_PAUSED && impl.complete) return State::kComplete;
    if (error != HPE_OK) {
      if (impl.refusal.status == 0) {
        impl.refusal = {
            400, absl::StrCat("Invalid HTTP request: ", llhttp_get_error_reason(&impl.parser))};
      }
      return State::kRefused;
    }
    if (!impl.in_headers) continue;
    impl.header_bytes += taken;
    if (impl.header_bytes >= impl.limits.max_header_bytes) {
      impl.refusal = {431, absl::StrCat("The request's headers are larger than the limit of ",
                                        impl.limits.max_header_bytes, " bytes.")};
      return State::kRefused;
    }
  }
  return State::kNeedsMore;
}

Request& RequestParser::request() { return impl_->request; }
const Refusal& RequestParser::refusal() const { return impl_->refusal; }
bool RequestParser::in_request() const { return impl_->started && !impl_->complete; }
bool RequestParser::TakeExpectContinue() {
  return !impl_->in_headers && std::exchange(impl_->expect_continue, false);
}

std::string FormatResponse(int status, absl::string_view body, bool keep_alive) {
  std::string out = absl::StrCat("HTTP/1.1 ", status, " \r\n", kServerHeader,
                                 "Connection: ", keep_alive ? "keep-alive" : "close", "\r\n");
  if (!body.empty()) {
    absl::StrAppend(&out, "Content-Type: application/json\r\nContent-Length: ", body.size(),
                    "\r\n\r\n", body);
  } else {
    // A 204 has no length (RFC 9110, "Content-Length").
    absl::StrAppend(&out, status == 204 ? "\r\n" : "Content-Length: 0\r\n\r\n");
  }
  return out;
}

std::string FormatContinue() { return "HTTP/1.1 100 \r\n\r\n"; }

}  // namespace hearth::base::http1
