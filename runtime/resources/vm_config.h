// SPDX-License-Identifier: Apache-2.0
// VmConfig: everything that the API has been told about the machine, for the VMM to build it from;
// and the nouns that fill it.
#ifndef HEARTH_RUNTIME_RESOURCES_VM_CONFIG_H_
#define HEARTH_RUNTIME_RESOURCES_VM_CONFIG_H_

#include <memory>
#include <optional>
#include <vector>

#include "runtime/control/machine_control.h"
#include "runtime/control/resource.h"
#include "runtime/resources/actions.h"
#include "runtime/resources/boot_source.h"
#include "runtime/resources/instance_info.h"
#include "runtime/resources/logger.h"
#include "runtime/resources/machine_config.h"
#include "runtime/resources/metrics_config.h"
#include "runtime/resources/serial_config.h"

namespace hearth {

// Main thread. What is not an optional has every field set.
struct VmConfig {
  MachineConfig machine = DefaultMachineConfig();
  std::optional<BootSource> boot_source;
  std::optional<SerialConfig> serial;
  std::optional<LoggerConfig> logger;    // in effect already
  std::optional<MetricsConfig> metrics;  // likewise
};

// Every noun of the API; devices append theirs. The elements stay where they are; the vector may
// grow until the API server starts.
using Resources = std::vector<std::unique_ptr<Resource>>;

// Appends the nouns that are not devices. `config`, `machine` and `*resources` itself (GET
// /vm/config walks over it) outlive the resources' last call. Returns the noun of the
// metrics, for whoever counts time.
MetricsResource* AddResources(VmConfig* config, MachineControl* machine, InstanceIdentity identity,
                              MetricsResource::Hooks metrics_hooks, Resources* resources);

// GET /vm/config: what the other nouns were given, in the form of --config-file.
class VmConfigResource : public Resource {
 public:
  explicit VmConfigResource(const Resources* all) : all_(*all) {}

  absl::string_view path() const override { return "/vm/config"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  const Resources& all_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_VM_CONFIG_H_
