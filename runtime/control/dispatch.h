// SPDX-License-Identifier: Apache-2.0
// The way from a noun's JSON to its handler, shared by the REST API and --config-file.
//
// ParseBody() needs no machine and may run on any thread; Perform() belongs to the main thread.
#ifndef HEARTH_RUNTIME_CONTROL_DISPATCH_H_
#define HEARTH_RUNTIME_CONTROL_DISPATCH_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/control/resource.h"

namespace hearth {

// nullptr if the resource has no such verb.
const Verb* FindVerb(const Resource& resource, Method method);

// The field of the body that repeats the variable part of the path: "drive_id" of
// "/drives/{drive_id}"; "" where the path has none.
absl::string_view IdField(const Resource& resource);

// OK when `phase` includes `state`; else FailedPrecondition with the text that Firecracker's
// clients know.
absl::Status CheckPhase(Phase phase, MachineControl::State state);

// Parses `json` as the verb's body. InvalidArgument if it does not fit, if a PATCH would change
// nothing, or if the body names another id than `id`, the path's ("" where there is no path). The
// verb must take a body.
absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>> ParseBody(const Resource& resource,
                                                                         const Verb& verb,
                                                                         absl::string_view id,
                                                                         absl::string_view json);

// Checks the phase and calls the resource. `body` is what ParseBody() gave, nullptr where the verb
// takes none.
absl::StatusOr<Reply> Perform(Resource& resource, const Verb& verb, absl::string_view id,
                              const google::protobuf::MessageLite* body,
                              MachineControl::State state);

// "GET", "PUT", "PATCH".
absl::string_view MethodName(Method method);

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_DISPATCH_H_
