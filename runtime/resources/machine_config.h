// SPDX-License-Identifier: Apache-2.0
// /machine-config: vCPUs and memory.
#ifndef HEARTH_RUNTIME_RESOURCES_MACHINE_CONFIG_H_
#define HEARTH_RUNTIME_RESOURCES_MACHINE_CONFIG_H_

#include "absl/status/status.h"
#include "runtime/control/resource.h"
#include "runtime/resources/machine_config.json.h"

namespace hearth {

// Every field set to its default.
MachineConfig DefaultMachineConfig();

// The rules between fields; InvalidArgument names the field that has to change.
absl::Status CheckMachineConfig(const MachineConfig& config);

class MachineConfigResource : public Resource {
 public:
  // `*config` outlives the resource; main thread.
  explicit MachineConfigResource(MachineConfig* config) : config_(*config) {}

  absl::string_view path() const override { return "/machine-config"; }
  absl::string_view config_key() const override { return "machine-config"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  MachineConfig& config_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_MACHINE_CONFIG_H_
