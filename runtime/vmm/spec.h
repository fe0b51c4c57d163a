// SPDX-License-Identifier: Apache-2.0
// From what the API was told to what the machine is to be. Pure; main thread.
#ifndef HEARTH_RUNTIME_VMM_SPEC_H_
#define HEARTH_RUNTIME_VMM_SPEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/resources/vm_config.h"
#include "runtime/vmm/machine.h"

namespace hearth {

// FailedPrecondition where the configuration is not complete.
absl::StatusOr<MachineSpec> SpecFromConfig(const VmConfig& config);

// Appends `arguments` (a blank before each) to what of the command line is the kernel's.
void AddKernelArguments(absl::string_view arguments, std::string* command_line);

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_SPEC_H_
