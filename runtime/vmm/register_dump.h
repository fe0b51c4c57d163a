// SPDX-License-Identifier: Apache-2.0
// What a stopped vCPU has to say: its exit in words, and its registers.
#ifndef HEARTH_RUNTIME_VMM_REGISTER_DUMP_H_
#define HEARTH_RUNTIME_VMM_REGISTER_DUMP_H_

#include <linux/kvm.h>

#include <string>

#include "runtime/hypervisor/vcpu_fd.h"

namespace hearth {

// "KVM_EXIT_INTERNAL_ERROR, suberror 1 (emulation), data 0x...": every exit that ends a vCPU.
std::string DescribeExit(const kvm_run& run);

// General and special registers on a few "name=value" lines. On the vCPU's thread, outside KVM_RUN.
std::string DumpRegisters(const VcpuFd& vcpu);

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_REGISTER_DUMP_H_
