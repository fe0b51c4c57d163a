// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/serial_config.h"

#include "runtime/control/reply.h"

namespace hearth {

absl::Span<const Verb> SerialConfigResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kPut, Phase::kBeforeBoot, &kSerialConfigSchema}};
  return kVerbs;
}

absl::StatusOr<Reply> SerialConfigResource::Handle(const Call& call) {
  serial_ = BodyOf<SerialConfig>(call);
  return Reply{};
}

std::vector<Reply> SerialConfigResource::Config() const {
  if (!serial_) return {};
  return OneReply(*serial_, kSerialConfigSchema);
}

}  // namespace hearth
