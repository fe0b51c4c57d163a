// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/drive_resource.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "runtime/control/reply.h"

namespace hearth::virtio::block {

absl::Span<const Verb> DriveResource::verbs() const {
  static constexpr Verb kVerbs[] = {
      {Method::kGet, Phase::kAny},
      {Method::kPut, Phase::kBeforeBoot, &kDriveSchema},
      {Method::kPatch, Phase::kAfterBoot, &kPartialDriveSchema, json::Presence::kPartial},
  };
  return kVerbs;
}

absl::StatusOr<Reply> DriveResource::Handle(const Call& call) {
  switch (call.method) {
    case Method::kGet: {
      const Drive* const drive = family_.Find(call.id);
      if (drive != nullptr) return ReplyWith(*drive, kDriveSchema);
      return absl::InvalidArgumentError(
          absl::StrCat("drive_id: there is no drive \"", call.id, "\""));
    }
    case Method::kPut: {
      const auto& drive = BodyOf<Drive>(call);
      // In --config-file there is no path to say it.
      HEARTH_RETURN_IF_ERROR(family_.Put(drive.drive_id(), drive));
      return Reply{};
    }
    case Method::kPatch:
      HEARTH_RETURN_IF_ERROR(family_.Patch(call.id, BodyOf<PartialDrive>(call)));
      return Reply{};
  }
  return Reply{};
}

std::vector<Reply> DriveResource::Config() const {
  std::vector<Reply> replies;
  for (const auto& item : family_.drives()) {
    replies.push_back(ReplyWith(item.config, kDriveSchema));
  }
  return replies;
}

absl::Span<const Verb> DriveListResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kGet, Phase::kAny}};
  return kVerbs;
}

absl::StatusOr<Reply> DriveListResource::Handle(const Call&) {
  Reply reply;
  reply.json = "[";
  for (const auto& item : family_.drives()) {
    absl::StrAppend(&reply.json, reply.json.size() > 1 ? "," : "",
                    json::ToJson(item.config, kDriveSchema));
  }
  reply.json += "]";
  return reply;
}

}  // namespace hearth::virtio::block
