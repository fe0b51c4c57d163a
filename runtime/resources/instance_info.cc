// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/instance_info.h"

#include "runtime/control/reply.h"

namespace hearth {
namespace {

constexpr Verb kGetOnly[] = {{Method::kGet, Phase::kAny}};

InstanceInfo::State StateOf(MachineControl::State state) {
  switch (state) {
    case MachineControl::State::kNotStarted:
      return InstanceInfo::STATE_NOT_STARTED;
    case MachineControl::State::kRunning:
      return InstanceInfo::STATE_RUNNING;
    case MachineControl::State::kPaused:
      return InstanceInfo::STATE_PAUSED;
  }
  return InstanceInfo::STATE_NOT_STARTED;
}

}  // namespace

absl::Span<const Verb> InstanceInfoResource::verbs() const { return kGetOnly; }

absl::StatusOr<Reply> InstanceInfoResource::Handle(const Call&) {
  InstanceInfo info;
  info.set_id(identity_.id);
  info.set_state(StateOf(machine_.state()));
  info.set_vmm_version(identity_.version);
  info.set_app_name(identity_.app_name);
  return ReplyWith(std::move(info), kInstanceInfoSchema);
}

absl::Span<const Verb> VersionResource::verbs() const { return kGetOnly; }

absl::StatusOr<Reply> VersionResource::Handle(const Call&) {
  VersionInfo info;
  info.set_firecracker_version(std::string(kFirecrackerApiVersion));
  info.set_hearth_version(hearth_version_);
  return ReplyWith(std::move(info), kVersionInfoSchema);
}

}  // namespace hearth
