// SPDX-License-Identifier: Apache-2.0
// VcpuSet: the vCPU threads of a VM, and their rendezvous.
//
// One thread a vCPU runs KVM_RUN and hands port and memory accesses to the buses. The threads start
// paused. All methods are for the main thread; Pause() returns when no vCPU is in KVM_RUN and every
// access in flight is completed, so that registers and memory are still. Kicks go by a signal and
// kvm_run.immediate_exit, and cost a running vCPU nothing.
#ifndef HEARTH_RUNTIME_VMM_VCPU_H_
#define HEARTH_RUNTIME_VMM_VCPU_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/thread.h"
#include "devices/bus/bus.h"
#include "runtime/hypervisor/vcpu_fd.h"

namespace hearth {

// Why a vCPU cannot go on.
struct VcpuStop {
  uint32_t vcpu_id;
  // A triple fault, which is also how some guests reboot; anything else is a failure.
  bool is_shutdown;
  // One line of what happened, then the registers.
  std::string reason;
  std::string registers;
};

class VcpuSet {
 public:
  // Called at most once a vCPU, on its thread, after its last exit.
  using StopHandler = absl::AnyInvocable<void(VcpuStop)>;

  // The buses must outlive the set.
  VcpuSet(std::vector<VcpuFd> fds, const Bus& pio, const Bus& mmio, StopHandler on_stop);
  // Ends and joins the threads.
  ~VcpuSet();
  VcpuSet(const VcpuSet&) = delete;
  VcpuSet& operator=(const VcpuSet&) = delete;

  // Starts the threads, paused. After an error the set can only be destroyed.
  absl::Status Start();
  void Pause() ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() ABSL_LOCKS_EXCLUDED(mutex_);
  size_t size() const { return vcpus_.size(); }

 private:
  enum class Wanted { kPaused, kRunning, kEnd };
  struct Vcpu {
    explicit Vcpu(VcpuFd fd_in) : fd(std::move(fd_in)) {}
    VcpuFd fd;
    base::Thread thread;
    bool in_run = false;  // guarded by mutex_: the thread may be in KVM_RUN
  };

  void ThreadMain(Vcpu& vcpu);
  // Waits while paused; false when the thread is to end.
  bool WaitUntilRunning(Vcpu& vcpu) ABSL_LOCKS_EXCLUDED(mutex_);
  // Handles one exit; false when the vCPU cannot go on (the handler was called).
  bool HandleExit(Vcpu& vcpu);
  void Report(Vcpu& vcpu, std::string reason, bool is_shutdown);
  void SetWanted(Wanted wanted) ABSL_LOCKS_EXCLUDED(mutex_);
  bool AllOut() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Bus& pio_;
  const Bus& mmio_;
  StopHandler on_stop_ ABSL_GUARDED_BY(stop_mutex_);
  absl::Mutex stop_mutex_;

  absl::Mutex mutex_;
  Wanted wanted_ ABSL_GUARDED_BY(mutex_) = Wanted::kPaused;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_VMM_VCPU_H_
