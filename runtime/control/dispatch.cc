// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/dispatch.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth {
namespace {

using ::google::protobuf::MessageLite;

// What goes before an error about a body: "machine-config", "drives rootfs".
std::string ErrorPrefix(const Resource& resource, absl::string_view id) {
  absl::string_view noun = resource.path().substr(1);
  if (const size_t open = noun.find("/{"); open != absl::string_view::npos)
    noun = noun.substr(0, open);
  return absl::StrCat(noun, id.empty() ? "" : " ", id);
}

absl::Status WithNoun(const Resource& resource, absl::string_view id, absl::Status status) {
  if (!absl::IsInvalidArgument(status)) return status;
  return base::Annotate(std::move(status), absl::string_view(ErrorPrefix(resource, id)));
}

}  // namespace

const Verb* FindVerb(const Resource& resource, Method method) {
  for (const Verb& verb : resource.verbs()) {
    if (verb.method == method) return &verb;
  }
  return nullptr;
}

absl::string_view IdField(const Resource& resource) {
  const absl::string_view path = resource.path();
  const size_t open = path.find('{');
  if (open == absl::string_view::npos) return "";
  return path.substr(open + 1, path.find('}', open) - open - 1);
}

absl::Status CheckPhase(Phase phase, MachineControl::State state) {
  const bool booted = state != MachineControl::State::kNotStarted;
  if (phase == Phase::kBeforeBoot && booted) {
    return absl::FailedPreconditionError(
        "The requested operation is not supported after starting the microVM.");
  }
  if (phase == Phase::kAfterBoot && !booted) {
    return absl::FailedPreconditionError(
        "The requested operation is not supported before starting the microVM.");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<MessageLite>> ParseBody(const Resource& resource, const Verb& verb,
                                                       absl::string_view id,
                                                       absl::string_view json) {
  std::unique_ptr<MessageLite> body = verb.body->create();
  absl::Status status = json::MergeFromJson(json, *verb.body, verb.presence, body.get());
  if (!status.ok()) return WithNoun(resource, id, std::move(status));
  const json::Field* id_field = json::FindField(*verb.body, IdField(resource));
  if (!id.empty() && id_field != nullptr && id_field->count(*body) > 0) {
    const absl::string_view body_id = id_field->get(*body, 0).text;
    if (body_id != id) {
      return absl::InvalidArgumentError(absl::StrCat(ErrorPrefix(resource, id), ": ",
                                                     id_field->name, ": got \"", body_id,
                                                     "\", must be \"", id, "\" as in the path"));
    }
  }
  if (verb.presence == json::Presence::kPartial) {
    bool changes = false;
    for (const json::Field& field : verb.body->fields)
      changes |= &field != id_field && field.count(*body) > 0;
    if (!changes) return absl::InvalidArgumentError("Empty PATCH request.");
  }
  return body;
}

absl::StatusOr<Reply> Perform(Resource& resource, const Verb& verb, absl::string_view id,
                              const MessageLite* body, MachineControl::State state) {
  HEARTH_RETURN_IF_ERROR(CheckPhase(verb.phase, state));
  absl::StatusOr<Reply> reply = resource.Handle({.method = verb.method, .id = id, .body = body});
  if (!reply.ok()) return WithNoun(resource, id, std::move(reply).status());
  return reply;
}

absl::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
  }
  return "";
}

}  // namespace hearth
