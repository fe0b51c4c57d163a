// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/machine_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "runtime/control/reply.h"

namespace hearth {

MachineConfig DefaultMachineConfig() {
  MachineConfig config;
  config.set_vcpu_count(1);
  config.set_mem_size_mib(128);
  config.set_smt(false);
  config.set_track_dirty_pages(false);
  config.set_huge_pages(MachineConfig::HUGE_PAGES_NONE);
  config.set_cpu_template(MachineConfig::CPU_TEMPLATE_NONE);
  config.set_io_threads(1);
  return config;
}

absl::Status CheckMachineConfig(const MachineConfig& config) {
  if (config.smt() && config.vcpu_count() != 1 && config.vcpu_count() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat("vcpu_count: got ", config.vcpu_count(),
                                                   ", must be 1 or even when smt is true"));
  }
  if (config.huge_pages() == MachineConfig::HUGE_PAGES_2M && config.mem_size_mib() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat("mem_size_mib: got ", config.mem_size_mib(),
                                                   ", must be even when huge_pages is \"2M\""));
  }
  if (config.cpu_template() != MachineConfig::CPU_TEMPLATE_NONE) {
    return absl::InvalidArgumentError(
        "cpu_template: the named templates are deprecated and not implemented, must be \"None\"");
  }
  return absl::OkStatus();
}

absl::Span<const Verb> MachineConfigResource::verbs() const {
  static constexpr Verb kVerbs[] = {
      {Method::kGet, Phase::kAny},
      {Method::kPut, Phase::kBeforeBoot, &kMachineConfigSchema},
      {Method::kPatch, Phase::kBeforeBoot, &kMachineConfigSchema, json::Presence::kPartial},
  };
  return kVerbs;
}

absl::StatusOr<Reply> MachineConfigResource::Handle(const Call& call) {
  if (call.method == Method::kGet) return ReplyWith(config_, kMachineConfigSchema);
  MachineConfig next = call.method == Method::kPut ? DefaultMachineConfig() : config_;
  next.MergeFrom(BodyOf<MachineConfig>(call));
  HEARTH_RETURN_IF_ERROR(CheckMachineConfig(next));
  config_ = std::move(next);
  return Reply{};
}

std::vector<Reply> MachineConfigResource::Config() const {
  return OneReply(config_, kMachineConfigSchema);
}

}  // namespace hearth
