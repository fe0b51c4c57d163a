// SPDX-License-Identifier: Apache-2.0
// Router: from a method, a path and a body to a resource's handler, and from its reply to a
// response.
//
// Route() reads only what never changes and may run on any thread (it is the api thread's); Run()
// calls into the resource and belongs to the main thread. Every refusal is a response with
// {"fault_message": "..."}; the texts that Firecracker's clients may know are Firecracker's.
#ifndef HEARTH_API_SERVER_ROUTER_H_
#define HEARTH_API_SERVER_ROUTER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "runtime/control/machine_control.h"
#include "runtime/control/resource.h"

namespace hearth::api {

struct Response {
  int status;        // 200, 204, 400, 500 ...
  std::string body;  // JSON, or empty
};

// 400, or 500 where it is our fault, with the status' message as fault_message.
Response ErrorResponse(const absl::Status& status);
// The body of a refusal.
std::string FaultBody(absl::string_view message);

// A request that was found in order and has yet to be done.
struct Action {
  Resource* resource;
  const Verb* verb;
  std::string id;  // the variable part of the path
  std::unique_ptr<google::protobuf::MessageLite> body;
};

class Router {
 public:
  // Both outlive the router; the span's elements do not change while Route() may run.
  Router(absl::Span<const std::unique_ptr<Resource>> resources, const MachineControl* machine)
      : resources_(resources), machine_(*machine) {}

  // `target` is the request's: a path, or a whole URL.
  absl::StatusOr<Action> Route(absl::string_view method, absl::string_view target,
                               absl::string_view body) const;

  Response Run(const Action& action) const;

 private:
  const absl::Span<const std::unique_ptr<Resource>> resources_;
  const MachineControl& machine_;
};

}  // namespace hearth::api

#endif  // HEARTH_API_SERVER_ROUTER_H_
