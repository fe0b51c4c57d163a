// SPDX-License-Identifier: Apache-2.0
// /serial: the serial console's output.
#ifndef HEARTH_RUNTIME_RESOURCES_SERIAL_CONFIG_H_
#define HEARTH_RUNTIME_RESOURCES_SERIAL_CONFIG_H_

#include <optional>

#include "runtime/control/resource.h"
#include "runtime/resources/serial_config.json.h"

namespace hearth {

class SerialConfigResource : public Resource {
 public:
  // `*serial` outlives the resource; main thread.
  explicit SerialConfigResource(std::optional<SerialConfig>* serial) : serial_(*serial) {}

  absl::string_view path() const override { return "/serial"; }
  absl::string_view config_key() const override { return "serial"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  std::optional<SerialConfig>& serial_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_SERIAL_CONFIG_H_
