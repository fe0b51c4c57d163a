// SPDX-License-Identifier: Apache-2.0
// /boot-source: the kernel, its initrd and its command line.
#ifndef HEARTH_RUNTIME_RESOURCES_BOOT_SOURCE_H_
#define HEARTH_RUNTIME_RESOURCES_BOOT_SOURCE_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "runtime/control/resource.h"
#include "runtime/resources/boot_source.json.h"

namespace hearth {

// The command line of a boot source without boot_args. The same as Firecracker's; boot_source.proto
// repeats it.
inline constexpr absl::string_view kDefaultBootArgs =
    "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd "
    "swiotlb=noforce";

class BootSourceResource : public Resource {
 public:
  // `*boot_source` outlives the resource; main thread.
  explicit BootSourceResource(std::optional<BootSource>* boot_source)
      : boot_source_(*boot_source) {}

  absl::string_view path() const override { return "/boot-source"; }
  absl::string_view config_key() const override { return "boot-source"; }
  absl::Span<const Verb> verbs() const override;
  absl::StatusOr<Reply> Handle(const Call& call) override;
  std::vector<Reply> Config() const override;

 private:
  std::optional<BootSource>& boot_source_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_RESOURCES_BOOT_SOURCE_H_
