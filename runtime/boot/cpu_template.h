// SPDX-License-Identifier: Apache-2.0
// What CPU the guest sees: CPUID made from what KVM supports, and the MSRs that firmware would have
// set.
//
// Pure functions over KVM's structures. Sources: Intel SDM, "CPUID - CPU Identification"; AMD APM
// volume 3, "Obtaining Processor Information Via the CPUID Instruction"; Linux Documentation, "KVM
// CPUID bits".
#ifndef HEARTH_RUNTIME_BOOT_CPU_TEMPLATE_H_
#define HEARTH_RUNTIME_BOOT_CPU_TEMPLATE_H_

#include <linux/kvm.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace hearth {

struct CpuTopology {
  uint32_t vcpu_count = 1;
  bool smt = false;  // two vCPUs a core; all cores are in one package
};

// The CPUID of vCPU 0: `supported` with the topology above, the hypervisor bit, x2APIC and, where
// `tsc_deadline`, the TSC deadline timer; without nested virtualization (VMX, SVM) and performance
// counters, which the VMM does not offer.
std::vector<kvm_cpuid_entry2> NormalizeCpuid(absl::Span<const kvm_cpuid_entry2> supported,
                                             const CpuTopology& topology, bool tsc_deadline);

// Changes the CPUID of vCPU 0 into that of `apic_id`: the leaves that name the APIC ID.
void SetCpuidApicId(absl::Span<kvm_cpuid_entry2> entries, uint32_t apic_id,
                    const CpuTopology& topology);

// What firmware leaves in the MSRs of every CPU: write-back memory by default (MTRRs), fast string
// operations.
std::vector<kvm_msr_entry> InitialMsrs();

}  // namespace hearth

#endif  // HEARTH_RUNTIME_BOOT_CPU_TEMPLATE_H_
