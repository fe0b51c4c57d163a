// SPDX-License-Identifier: Apache-2.0
// /actions: start, Ctrl-Alt-Del, flush of metrics.
#ifndef HEARTH_RUNTIME_RESOURCES_ACTIONS_H_
#define HEARTH_RUNTIME_RESOURCES_ACTIONS_H_

#include "absl/status/status.h"
#include "runtime/control/machine_control.h"
#include "runtime/control/resource.h"
#include "runtime/resources/actions.json.h"
#include "runtime/resources/metrics_config.h"

namespace hearth {

class ActionsResource : public Resource {
 public:
  // Both outlive the resource.
  ActionsResource(MachineControl* machine, MetricsResource* metrics)
      : machine_(*machine), metrics_(*metrics) {}

  absl::string_view path() const override { return "/actions"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  absl::Status Run(ActionRequest::Action action);

  MachineControl& machine_;
  MetricsResource& metrics_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_ACTIONS_H_
