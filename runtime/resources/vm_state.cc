// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/vm_state.h"

#include "base/status_macros.h"
#include "runtime/control/reply.h"

namespace hearth {

absl::Span<const Verb> VmStateResource::verbs() const {
  // kFull: there is nothing in it that a PATCH could leave out.
  static constexpr Verb kVerbs[] = {{Method::kPatch, Phase::kAfterBoot, &kVmStateRequestSchema}};
  return kVerbs;
}

absl::StatusOr<Reply> VmStateResource::Handle(const Call& call) {
  const bool pause = BodyOf<VmStateRequest>(call).state() == VmStateRequest::STATE_PAUSED;
  HEARTH_RETURN_IF_ERROR(pause ? machine_.Pause() : machine_.Resume());
  return Reply{};
}

}  // namespace hearth
