// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/vcpu.h"

#include <signal.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "runtime/vmm/register_dump.h"

namespace hearth {
namespace {

int KickSignal() { return SIGRTMIN; }

// The handler does nothing: the signal's arrival is what ends KVM_RUN with EINTR.
void InstallKickHandler() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigemptyset(&action.sa_mask);
  HEARTH_CHECK(sigaction(KickSignal(), &action, nullptr) == 0);
}

void StoreImmediateExit(kvm_run& run, uint8_t value) {
  std::atomic_ref<uint8_t>(run.immediate_exit).store(value, std::memory_order_relaxed);
}

}  // namespace

VcpuSet::VcpuSet(std::vector<VcpuFd> fds, const Bus& pio, const Bus& mmio, StopHandler on_stop)
    : pio_(pio), mmio_(mmio), on_stop_(std::move(on_stop)) {
  for (VcpuFd& fd : fds) vcpus_.push_back(std::make_unique<Vcpu>(std::move(fd)));
}

VcpuSet::~VcpuSet() {
  SetWanted(Wanted::kEnd);
  for (const auto& vcpu : vcpus_) {
    vcpu->thread.Join();
  }
}

absl::Status VcpuSet::Start() {
  InstallKickHandler();
  for (const auto& vcpu : vcpus_) {
    HEARTH_ASSIGN_OR_RETURN(vcpu->thread,
                            base::Thread::Start(absl::StrCat("vcpu/", vcpu->fd.id()),
                                                [this, v = vcpu.get()] { ThreadMain(*v); }));
  }
  return absl::OkStatus();
}

void VcpuSet::Pause() { SetWanted(Wanted::kPaused); }
void VcpuSet::Resume() { SetWanted(Wanted::kRunning); }

bool VcpuSet::AllOut() const {
  for (const auto& vcpu : vcpus_) {
    if (vcpu->in_run) return false;
  }
  return true;
}

void VcpuSet::SetWanted(Wanted wanted) {
  absl::MutexLock lock(&mutex_);
  wanted_ = wanted;
  if (wanted == Wanted::kRunning) return;  // waiters see it when the lock is released
  for (const auto& vcpu : vcpus_) {
    if (!vcpu->in_run) continue;
    // The flag catches a thread that is just about to enter KVM_RUN, the signal one that is in it.
    StoreImmediateExit(vcpu->fd.run(), 1);
    vcpu->thread.Signal(KickSignal());
  }
  mutex_.Await(absl::Condition(this, &VcpuSet::AllOut));
}

bool VcpuSet::WaitUntilRunning(Vcpu& vcpu) {
  absl::MutexLock lock(&mutex_);
  vcpu.in_run = false;
  mutex_.Await(absl::Condition(
      +[](Wanted* wanted) { return *wanted != Wanted::kPaused; }, &wanted_));
  if (wanted_ == Wanted::kEnd) return false;
  StoreImmediateExit(vcpu.fd.run(), 0);
  vcpu.in_run = true;
  return true;
}

void VcpuSet::ThreadMain(Vcpu& vcpu) {
  sigset_t kick;
  sigemptyset(&kick);
  sigaddset(&kick, KickSignal());
  pthread_sigmask(SIG_UNBLOCK, &kick, nullptr);
  while (WaitUntilRunning(vcpu)) {
    for (;;) {
      const int result = vcpu.fd.Run();
      if (result == 0) {
        // KVM_RUN is entered once more even if a pause is wanted: that is what completes the
        // access, and then it returns EINTR because of immediate_exit.
        if (HandleExit(vcpu)) continue;
      } else if (result == -EINTR) {
        break;
      } else if (result == -EAGAIN) {
        continue;
      } else {
        Report(vcpu,
               std::string(base::ErrnoStatus("ioctl KVM_RUN",
                                             absl::StrCat("of vCPU ", vcpu.fd.id()), -result)
                               .message()),
               /*is_shutdown=*/false);
      }
      absl::MutexLock lock(&mutex_);
      vcpu.in_run = false;
      return;
    }
  }
}

bool VcpuSet::HandleExit(Vcpu& vcpu) {
  kvm_run& run = vcpu.fd.run();
  switch (run.exit_reason) {
    case KVM_EXIT_IO: {
      // A string instruction comes as `count` accesses to the same port.
      const absl::Span<uint8_t> data = vcpu.fd.PioData();
      const size_t size = run.io.size;
      if (size == 0) return true;
      for (size_t at = 0; at + size <= data.size(); at += size) {
        if (run.io.direction == KVM_EXIT_IO_IN) {
          pio_.Read(run.io.port, data.subspan(at, size));
        } else {
          pio_.Write(run.io.port, data.subspan(at, size));
        }
      }
      return true;
    }
    case KVM_EXIT_MMIO: {
      const size_t size = std::min<size_t>(run.mmio.len, sizeof(run.mmio.data));
      const absl::Span<uint8_t> data(run.mmio.data, size);
      if (run.mmio.is_write) {
        mmio_.Write(run.mmio.phys_addr, data);
      } else {
        mmio_.Read(run.mmio.phys_addr, data);
      }
      return true;
    }
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return true;
    case KVM_EXIT_SHUTDOWN:
      Report(vcpu, absl::StrCat("vCPU ", vcpu.fd.id(), " shut down (triple fault)"),
             /*is_shutdown=*/true);
      return false;
    default:
      Report(vcpu, absl::StrCat("vCPU ", vcpu.fd.id(), " stopped: ", DescribeExit(run)),
             /*is_shutdown=*/false);
      return false;
  }
}

void VcpuSet::Report(Vcpu& vcpu, std::string reason, bool is_shutdown) {
  VcpuStop stop = {vcpu.fd.id(), is_shutdown, std::move(reason), DumpRegisters(vcpu.fd)};
  absl::MutexLock lock(&stop_mutex_);
  on_stop_(std::move(stop));
}

}  // namespace hearth
