// SPDX-License-Identifier: Apache-2.0
// GET / and GET /version: who we are.
#ifndef HEARTH_RUNTIME_RESOURCES_INSTANCE_INFO_H_
#define HEARTH_RUNTIME_RESOURCES_INSTANCE_INFO_H_

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "runtime/control/machine_control.h"
#include "runtime/control/resource.h"
#include "runtime/resources/instance_info.json.h"

namespace hearth {

// The API level that we are compatible with: the version of Firecracker whose API description we
// follow.
inline constexpr absl::string_view kFirecrackerApiVersion = "1.17.0";

struct InstanceIdentity {
  std::string id = "anonymous-instance";
  std::string version;
  std::string app_name = "Hearth";
};

class InstanceInfoResource : public Resource {
 public:
  // `machine` outlives the resource.
  InstanceInfoResource(InstanceIdentity identity, const MachineControl* machine)
      : identity_(std::move(identity)), machine_(*machine) {}

  absl::string_view path() const override { return "/"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  const InstanceIdentity identity_;
  const MachineControl& machine_;
};

class VersionResource : public Resource {
 public:
  explicit VersionResource(std::string hearth_version)
      : hearth_version_(std::move(hearth_version)) {}

  absl::string_view path() const override { return "/version"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;

 private:
  const std::string hearth_version_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_INSTANCE_INFO_H_
