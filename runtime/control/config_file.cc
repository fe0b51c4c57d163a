// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/config_file.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "runtime/control/dispatch.h"

namespace hearth {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

absl::Status CheckKeys(const std::vector<json::Member>& members,
                       absl::Span<const std::unique_ptr<Resource>> resources) {
  std::vector<absl::string_view> known;
  for (const auto& resource : resources) {
    if (!resource->config_key().empty()) known.push_back(resource->config_key());
  }
  for (const json::Member& member : members) {
    if (std::find(known.begin(), known.end(), member.name) != known.end()) continue;
    const absl::string_view nearest = base::Nearest(member.name, known);
    return absl::InvalidArgumentError(
        absl::StrCat("unknown key \"", member.name, "\"",
                     nearest.empty() ? "" : absl::StrCat(", did you mean \"", nearest, "\"?"),
                     " (known: ", absl::StrJoin(known, ", "), ")"));
  }
  return absl::OkStatus();
}

absl::Status ApplyMember(const json::Member& member, Resource& resource) {
  const Verb* verb = FindVerb(resource, Method::kPut);
  HEARTH_CHECK(verb != nullptr && verb->body != nullptr);  // a noun with a key can be PUT
  const absl::string_view id_name = IdField(resource);
  if (member.is_array != !id_name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        member.name, ": must be an ", id_name.empty() ? "object" : "array of objects"));
  }
  for (const absl::string_view object : member.objects) {
    HEARTH_ASSIGN_OR_RETURN(const std::unique_ptr<google::protobuf::MessageLite> body,
                            ParseBody(resource, *verb, "", object));
    // There is no path to take the id from.
    std::string id;
    if (const json::Field* field = json::FindField(*verb->body, id_name); field != nullptr) {
      id = std::string(field->get(*body, 0).text);
    }
    HEARTH_RETURN_IF_ERROR(
        Perform(resource, *verb, id, body.get(), MachineControl::State::kNotStarted).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyConfig(absl::string_view json,
                         absl::Span<const std::unique_ptr<Resource>> resources) {
  HEARTH_ASSIGN_OR_RETURN(const std::vector<json::Member> members, json::SplitObject(json));
  HEARTH_RETURN_IF_ERROR(CheckKeys(members, resources));
  for (const auto& resource : resources) {
    for (const json::Member& member : members) {
      if (member.name == resource->config_key())
        HEARTH_RETURN_IF_ERROR(ApplyMember(member, *resource));
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyConfigFile(const std::string& path,
                             absl::Span<const std::unique_ptr<Resource>> resources) {
  HEARTH_ASSIGN_OR_RETURN(const std::string json, base::ReadFile(path, kMaxFileBytes));
  return base::Annotate(ApplyConfig(json, resources), absl::string_view(path));
}

std::string CollectConfig(absl::Span<const std::unique_ptr<Resource>> resources) {
  std::vector<std::string> members;
  for (const auto& resource : resources) {
    if (resource->config_key().empty()) continue;
    std::vector<std::string> objects;
    for (const Reply& reply : resource->Config())
      objects.push_back(json::ToJson(*reply.body, *reply.schema));
    const bool family = !IdField(*resource).empty();
    if (objects.empty() && !family) continue;
    std::string member;
    json::AppendString(resource->config_key(), &member);
    absl::StrAppend(&member, ":", family ? "[" : "", absl::StrJoin(objects, ","),
                    family ? "]" : "");
    members.push_back(std::move(member));
  }
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

}  // namespace hearth
