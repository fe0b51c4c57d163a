// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/actions.h"

#include "base/status_macros.h"
#include "runtime/control/dispatch.h"
#include "runtime/control/reply.h"

namespace hearth {

absl::Span<const Verb> ActionsResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kPut, Phase::kAny, &kActionRequestSchema}};
  return kVerbs;
}

absl::StatusOr<Reply> ActionsResource::Handle(const Call& call) {
  HEARTH_RETURN_IF_ERROR(Run(BodyOf<ActionRequest>(call).action_type()));
  return Reply{};
}

absl::Status ActionsResource::Run(ActionRequest::Action action) {
  // Each action has its own phase, which the table of verbs cannot say.
  const bool starts = action == ActionRequest::ACTION_INSTANCE_START;
  HEARTH_RETURN_IF_ERROR(
      CheckPhase(starts ? Phase::kBeforeBoot : Phase::kAfterBoot, machine_.state()));
  switch (action) {
    case ActionRequest::ACTION_INSTANCE_START:
      return machine_.Start();
    case ActionRequest::ACTION_SEND_CTRL_ALT_DEL:
      return machine_.SendCtrlAltDel();
    case ActionRequest::ACTION_FLUSH_METRICS:
      return metrics_.Flush();
    default:
      return absl::InternalError("an action that the schema does not know");
  }
}

}  // namespace hearth
