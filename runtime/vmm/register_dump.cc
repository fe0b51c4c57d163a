// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/register_dump.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hearth {
namespace {

absl::string_view InternalErrorName(uint32_t suberror) {
  switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      return "emulation: an instruction that the hypervisor cannot emulate";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      return "simultaneous exceptions";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      return "exit during event delivery";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
      return "unexpected exit reason";
    default:
      return "unknown";
  }
}

std::string DescribeInternalError(const kvm_run& run) {
  std::string text = absl::StrCat("KVM_EXIT_INTERNAL_ERROR, suberror ", run.internal.suberror, " (",
                                  InternalErrorName(run.internal.suberror), ")");
  // ndata comes from the hypervisor, but a module of ours may be wrong too: keep to the array.
  const uint32_t count = std::min<uint32_t>(run.internal.ndata, std::size(run.internal.data));
  for (uint32_t i = 0; i < count; ++i)
    absl::StrAppendFormat(&text, " data[%d]=0x%x", i, run.internal.data[i]);
  return text;
}

}  // namespace

std::string DescribeExit(const kvm_run& run) {
  switch (run.exit_reason) {
    case KVM_EXIT_FAIL_ENTRY:
      return absl::StrFormat("KVM_EXIT_FAIL_ENTRY, hardware entry failure reason 0x%x on CPU %d",
                             run.fail_entry.hardware_entry_failure_reason, run.fail_entry.cpu);
    case KVM_EXIT_INTERNAL_ERROR:
      return DescribeInternalError(run);
    case KVM_EXIT_UNKNOWN:
      return absl::StrFormat("KVM_EXIT_UNKNOWN, hardware exit reason 0x%x",
                             run.hw.hardware_exit_reason);
    case KVM_EXIT_EXCEPTION:
      return absl::StrFormat("KVM_EXIT_EXCEPTION %d, error code 0x%x", run.ex.exception,
                             run.ex.error_code);
    case KVM_EXIT_SYSTEM_EVENT:
      return absl::StrFormat("KVM_EXIT_SYSTEM_EVENT, type %d", run.system_event.type);
    case KVM_EXIT_HLT:
      return "KVM_EXIT_HLT: halted, and the hypervisor has no in-kernel interrupt controller to "
             "wake it";
    default:
      return absl::StrFormat("unexpected exit reason %d", run.exit_reason);
  }
}

std::string DumpRegisters(const VcpuFd& vcpu) {
  const auto regs = vcpu.GetRegs();
  const auto sregs = vcpu.GetSregs();
  if (!regs.ok() || !sregs.ok()) return "registers cannot be read";
  std::string text = absl::StrFormat(
      "rip=%016x rflags=%08x rsp=%016x rbp=%016x\n"
      "rax=%016x rbx=%016x rcx=%016x rdx=%016x\n"
      "rsi=%016x rdi=%016x r8=%016x r9=%016x\n"
      "r10=%016x r11=%016x r12=%016x r13=%016x\n"
      "r14=%016x r15=%016x\n"
      "cr0=%08x cr2=%016x cr3=%016x cr4=%08x efer=%x\n",
      regs->rip, regs->rflags, regs->rsp, regs->rbp, regs->rax, regs->rbx, regs->rcx, regs->rdx,
      regs->rsi, regs->rdi, regs->r8, regs->r9, regs->r10, regs->r11, regs->r12, regs->r13,
      regs->r14, regs->r15, sregs->cr0, sregs->cr2, sregs->cr3, sregs->cr4, sregs->efer);
  const std::pair<const char*, const kvm_segment*> segments[] = {
      {"cs", &sregs->cs}, {"ds", &sregs->ds}, {"ss", &sregs->ss}, {"tr", &sregs->tr}};
  for (const auto& [name, segment] : segments) {
    absl::StrAppendFormat(&text, "%s=%04x base=%x limit=%x type=%x l=%d db=%d present=%d\n", name,
                          segment->selector, segment->base, segment->limit, segment->type,
                          segment->l, segment->db, segment->present);
  }
  absl::StrAppendFormat(&text, "gdt=%x/%x idt=%x/%x", sregs->gdt.base, sregs->gdt.limit,
                        sregs->idt.base, sregs->idt.limit);
  return text;
}

}  // namespace hearth
