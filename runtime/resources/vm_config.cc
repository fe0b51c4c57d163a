// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/vm_config.h"

#include <utility>

#include "runtime/control/config_file.h"
#include "runtime/resources/vm_state.h"

namespace hearth {

MetricsResource* AddResources(VmConfig* config, MachineControl* machine, InstanceIdentity identity,
                              MetricsResource::Hooks metrics_hooks, Resources* resources) {
  // The order of --config-file: the log first, so that it tells about the rest.
  resources->push_back(std::make_unique<LoggerResource>(&config->logger));
  auto metrics =
      std::make_unique<MetricsResource>(&config->metrics, identity.id, std::move(metrics_hooks));
  MetricsResource* const flushed = metrics.get();
  resources->push_back(std::move(metrics));
  resources->push_back(std::make_unique<MachineConfigResource>(&config->machine));
  resources->push_back(std::make_unique<BootSourceResource>(&config->boot_source));
  resources->push_back(std::make_unique<SerialConfigResource>(&config->serial));
  resources->push_back(std::make_unique<VersionResource>(identity.version));
  resources->push_back(std::make_unique<InstanceInfoResource>(std::move(identity), machine));
  resources->push_back(std::make_unique<ActionsResource>(machine, flushed));
  resources->push_back(std::make_unique<VmStateResource>(machine));
  resources->push_back(std::make_unique<VmConfigResource>(resources));
  return flushed;
}

absl::Span<const Verb> VmConfigResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kGet, Phase::kAny}};
  return kVerbs;
}

absl::StatusOr<Reply> VmConfigResource::Handle(const Call&) {
  return Reply{.json = CollectConfig(all_)};
}

}  // namespace hearth
