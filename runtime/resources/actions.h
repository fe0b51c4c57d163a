// SPDX-License-Identifier: Apache-2.0
// /actions: start, Ctrl-Alt-Del, flush of metrics.
#ifndef HEARTH_RUNTIME_RESOURCES_ACTIONS_H_
#define HEARTH_RUNTIME_RESOURCES_ACTIONS_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "runtime/control/machine_control.h"
#include "runtime/control/resource.h"
#include "runtime/resources/actions.json.h"

namespace hearth {

class ActionsResource : public Resource {
 public:
  using FlushMetrics = absl::AnyInvocable<absl::Status()>;

  // `machine` outlives the resource. `flush_metrics` may be null: then there are no metrics.
  ActionsResource(MachineControl* machine, FlushMetrics flush_metrics)
      : machine_(*machine), flush_metrics_(std::move(flush_metrics)) {}

  absl::string_view path() const override { return "/actions"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  absl::Status Run(ActionRequest::Action action);

  MachineControl& machine_;
  FlushMetrics flush_metrics_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_ACTIONS_H_
