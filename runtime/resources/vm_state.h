// SPDX-License-Identifier: Apache-2.0
// PATCH /vm: pause and resume.
#ifndef HEARTH_RUNTIME_RESOURCES_VM_STATE_H_
#define HEARTH_RUNTIME_RESOURCES_VM_STATE_H_

#include "runtime/control/machine_control.h"
#include "runtime/control/resource.h"
#include "runtime/resources/vm_state.json.h"

namespace hearth {

class VmStateResource : public Resource {
 public:
  // `machine` outlives the resource.
  explicit VmStateResource(MachineControl* machine) : machine_(*machine) {}

  absl::string_view path() const override { return "/vm"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  MachineControl& machine_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_VM_STATE_H_
