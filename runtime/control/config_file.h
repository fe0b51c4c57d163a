// SPDX-License-Identifier: Apache-2.0
// --config-file: the nouns' configurations in one JSON object, and the same form for GET
// /vm/config.
//
//   {"boot-source": {...}, "machine-config": {...}, "drives": [{...}, {...}]}
//
// Its keys are the config_key()s of the resources, its values the bodies of their PUTs, in an array
// for a family of nouns. Main thread, before the machine starts.
#ifndef HEARTH_RUNTIME_CONTROL_CONFIG_FILE_H_
#define HEARTH_RUNTIME_CONTROL_CONFIG_FILE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "runtime/control/resource.h"

namespace hearth {

// PUTs each part to its noun, in the order of `resources` (whatever the order in the text, so that
// a log is set up before what it should tell about). Stops at the first error; what was set before
// it stays.
absl::Status ApplyConfig(absl::string_view json,
                         absl::Span<const std::unique_ptr<Resource>> resources);

// The same from a file of at most 1 MiB; errors begin with its path.
absl::Status ApplyConfigFile(const std::string& path,
                             absl::Span<const std::unique_ptr<Resource>> resources);

// What the resources would have to be given to become what they are; families are there even when
// empty.
std::string CollectConfig(absl::Span<const std::unique_ptr<Resource>> resources);

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_CONFIG_FILE_H_
