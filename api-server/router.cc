// SPDX-License-Identifier: Apache-2.0
#include "api-server/router.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "runtime/control/dispatch.h"

namespace hearth::api {
namespace {

// How much of a path an error repeats.
constexpr size_t kShownPathBytes = 64;

std::optional<Method> ParseMethod(absl::string_view name) {
  for (const Method method : {Method::kGet, Method::kPut, Method::kPatch}) {
    if (MethodName(method) == name) return method;
  }
  return std::nullopt;
}

// The path of "/a/b", "/a/b/" or "http://localhost/a/b"; "" for anything else.
absl::string_view PathOf(absl::string_view target) {
  if (absl::ConsumePrefix(&target, "http://")) {
    const size_t slash = target.find('/');
    target = slash == absl::string_view::npos ? "/" : target.substr(slash);
  }
  if (!absl::StartsWith(target, "/")) return "";
  if (target.size() > 1) absl::ConsumeSuffix(&target, "/");
  return target;
}

// Whether `path` is of the form `pattern`, such as "/drives/{drive_id}"; sets `*id` to what stands
// in the braces' place. A path that ends before its id matches too.
bool Matches(absl::string_view pattern, absl::string_view path, absl::string_view* id) {
  *id = "";
  const size_t open = pattern.find('{');
  if (open == absl::string_view::npos) return path == pattern;
  if (path == pattern.substr(0, open - 1)) return true;
  if (!absl::ConsumePrefix(&path, pattern.substr(0, open))) return false;
  if (!absl::ConsumeSuffix(&path, pattern.substr(pattern.find('}') + 1))) return false;
  *id = path;
  return !absl::StrContains(path, '/');
}

absl::Status CheckId(absl::string_view id) {
  if (id.empty()) return absl::InvalidArgumentError("The ID cannot be empty.");
  if (std::all_of(id.begin(), id.end(),
                  [](char c) { return absl::ascii_isalnum(c) || c == '_'; })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "API Resource IDs can only contain alphanumeric characters and underscores.");
}

absl::Status Unroutable(absl::string_view method, absl::string_view path) {
  absl::ConsumePrefix(&path, "/");
  return absl::InvalidArgumentError(absl::StrCat("Invalid request method and/or path: ", method,
                                                 " ", path.substr(0, kShownPathBytes), "."));
}

}  // namespace

std::string FaultBody(absl::string_view message) {
  std::string body = "{\"fault_message\":";
  json::AppendString(message, &body);
  body += '}';
  return body;
}

Response ErrorResponse(const absl::Status& status) {
  return {.status = absl::IsInternal(status) ? 500 : 400, .body = FaultBody(status.message())};
}

absl::StatusOr<Action> Router::Route(absl::string_view method_name, absl::string_view target,
                                     absl::string_view body) const {
  const absl::string_view path = PathOf(target);
  absl::string_view id;
  const auto found = std::find_if(resources_.begin(), resources_.end(), [&](const auto& resource) {
    return Matches(resource->path(), path, &id);
  });
  const std::optional<Method> method = ParseMethod(method_name);
  if (found == resources_.end() || !method)
    return Unroutable(method_name, path.empty() ? target : path);
  Resource& resource = **found;
  const Verb* verb = FindVerb(resource, *method);
  if (verb == nullptr) return Unroutable(method_name, path);
  if (!IdField(resource).empty()) HEARTH_RETURN_IF_ERROR(CheckId(id));

  Action action = {.resource = &resource, .verb = verb, .id = std::string(id)};
  if (verb->body == nullptr) {
    if (!body.empty())
      return absl::InvalidArgumentError(absl::StrCat(method_name, " request cannot have a body."));
    return action;
  }
  if (body.empty() && !verb->body_optional)
    return absl::InvalidArgumentError(absl::StrCat("Empty ", method_name, " request."));
  if (body.empty()) body = "{}";
  HEARTH_ASSIGN_OR_RETURN(action.body, ParseBody(resource, *verb, id, body));
  return action;
}

Response Router::Run(const Action& action) const {
  const absl::StatusOr<Reply> reply =
      Perform(*action.resource, *action.verb, action.id, action.body.get(), machine_.state());
  if (!reply.ok()) return ErrorResponse(reply.status());
  if (reply->body != nullptr)
    return {.status = 200, .body = json::ToJson(*reply->body, *reply->schema)};
  if (!reply->json.empty()) return {.status = 200, .body = reply->json};
  return {.status = 204, .body = ""};
}

}  // namespace hearth::api
