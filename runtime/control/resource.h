// SPDX-License-Identifier: Apache-2.0
// Resource: one noun of the REST API, such as /machine-config.
//
// The API server parses HTTP and JSON on the api thread and hands a checked proto message over to
// the main thread, where Handle() runs. So a resource knows neither HTTP nor JSON, and the server
// knows no noun: it finds a resource by path and a verb by method, and refuses what the verb's
// table row does not allow.
#ifndef HEARTH_RUNTIME_CONTROL_RESOURCE_H_
#define HEARTH_RUNTIME_CONTROL_RESOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "proto/json_schema.h"
#include "runtime/control/machine_control.h"

namespace hearth {

enum class Method { kGet, kPut, kPatch };

// When a verb is allowed; outside it the answer is 400 with a message that says so.
enum class Phase { kAny, kBeforeBoot, kAfterBoot };

// One row of a resource's table of verbs.
struct Verb {
  Method method;
  Phase phase;
  // What the body must be; nullptr: no body is taken.
  const json::Schema* body = nullptr;
  // PATCH: required fields of `body` may be missing.
  json::Presence presence = json::Presence::kFull;
  // A request without a body counts as one with none of the fields.
  bool body_optional = false;
};

struct Call {
  Method method;
  // The variable part of the path, "" where the path has none.
  absl::string_view id;
  // Of the verb's schema; nullptr where it has none. Valid during the call.
  const google::protobuf::MessageLite* body;
};

// 200 with `body`, or with `json` as it stands; 204 where there is neither.
struct Reply {
  std::unique_ptr<google::protobuf::MessageLite> body;
  const json::Schema* schema = nullptr;
  // For a reply that no one message describes, such as the configuration of all nouns.
  std::string json = {};
};

class Resource {
 public:
  virtual ~Resource() = default;
  // "/machine-config", or "/drives/{drive_id}" for a family of nouns.
  virtual absl::string_view path() const = 0;
  // The key of this noun in --config-file and in GET /vm/config, "" where it has none.
  virtual absl::string_view config_key() const { return ""; }
  virtual absl::Span<const Verb> verbs() const = 0;
  // Main thread. All or nothing: an error leaves everything as it was and becomes a 400 with its
  // message.
  virtual absl::StatusOr<Reply> Handle(const Call& call) = 0;
  // The noun's configuration for GET /vm/config, in the form that its PUT takes: nothing where it
  // is not configured; for a family of nouns, one reply for each member.
  virtual std::vector<Reply> Config() const { return {}; }
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_RESOURCE_H_
