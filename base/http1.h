// SPDX-License-Identifier: Apache-2.0
// HTTP/1.x for a small server: requests in as they arrive, responses out as text.
//
// RequestParser wraps llhttp and adds the limits. It takes bytes in any pieces, one request at a
// time, so that a pipelined request stays unread until the one before it is answered. One parser a
// connection; no threads, no sockets.
#ifndef HEARTH_BASE_HTTP1_H_
#define HEARTH_BASE_HTTP1_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hearth::base::http1 {

struct Limits {
  // The request line, all headers and what is between them.
  size_t max_header_bytes = 8 * 1024;
  size_t max_body_bytes = 51200;
};

struct Request {
  std::string method;  // "GET"
  std::string target;  // as sent: "/drives/a", or "http://localhost/drives/a"
  std::string body;
  // Whether the connection goes on after the response.
  bool keep_alive = true;
};

// A request that cannot be answered as it wants, and after which the connection cannot go on.
struct Refusal {
  int status;  // of the response: 400, 413, 431, ...
  std::string message;
};

class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  enum class State {
    kNeedsMore,
    kComplete,  // request() holds until the next Parse()
    kRefused,   // refusal() says why; nothing more is taken
  };

  // Takes bytes from the front of `*data` (removes them there) up to the end of the request that it
  // is in, or of the data.
  State Parse(absl::string_view* data);

  // After kComplete. May be moved from.
  Request& request();
  // After kRefused.
  const Refusal& refusal() const;

  // Whether a request has begun and is not complete.
  bool in_request() const;
  // True once for a request that waits for "100 Continue" before it sends its body.
  bool TakeExpectContinue();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// The reason-less status line and headers that Firecracker sends, with `body` (JSON) unless it is
// empty.
std::string FormatResponse(int status, absl::string_view body, bool keep_alive);

// The answer to "Expect: 100-continue".
std::string FormatContinue();

}  // namespace hearth::base::http1

#endif  // HEARTH_BASE_HTTP1_H_
