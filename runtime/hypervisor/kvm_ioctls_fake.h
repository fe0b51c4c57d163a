// SPDX-License-Identifier: Apache-2.0
// KvmIoctlsFake: a scripted kernel. Any thread may call it once the scripts are set. A request
// without a script succeeds with 0; the capabilities that Hearth needs are there.
#ifndef HEARTH_RUNTIME_HYPERVISOR_KVM_IOCTLS_FAKE_H_
#define HEARTH_RUNTIME_HYPERVISOR_KVM_IOCTLS_FAKE_H_

#include <fcntl.h>
#include <linux/kvm.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "runtime/hypervisor/kvm_ioctls.h"

namespace hearth {

class KvmIoctlsFake : public KvmIoctls {
 public:
  using Handler = std::function<int(void* arg)>;
  static constexpr size_t kRunSize = 3 * 4096;

  KvmIoctlsFake() {
    On(KVM_GET_API_VERSION, [](void*) { return KVM_API_VERSION; });
    On(KVM_CHECK_EXTENSION, [this](void* arg) {
      const auto it = capabilities.find(static_cast<int>(reinterpret_cast<uintptr_t>(arg)));
      return it == capabilities.end() ? 1 : it->second;
    });
    On(KVM_GET_VCPU_MMAP_SIZE, [](void*) { return static_cast<int>(kRunSize); });
    On(KVM_CREATE_VM, [](void*) { return NewFd(); });
    On(KVM_CREATE_VCPU, [](void*) { return NewFd(); });
  }

  void On(unsigned long request, Handler handler) { handlers_[request] = std::move(handler); }

  int Open(const std::string&) override { return open_result < 0 ? open_result : NewFd(); }
  int Ioctl(int fd, unsigned long request, void* arg) override {
    if (request == KVM_RUN) return on_run ? on_run(Run(fd)) : 0;
    {
      absl::MutexLock lock(&mutex_);
      requests.push_back(request);
    }
    const auto it = handlers_.find(request);
    return it == handlers_.end() ? 0 : it->second(arg);
  }
  void* MapRun(int fd, size_t size) override {
    absl::MutexLock lock(&mutex_);
    runs_[fd] = std::make_unique<uint64_t[]>(size / sizeof(uint64_t));
    return runs_[fd].get();
  }
  void UnmapRun(void*, size_t) override {}

  // Real descriptors, so that their owners can close them.
  static int NewFd() { return open("/dev/null", O_RDWR | O_CLOEXEC); }

  int open_result = 0;
  std::map<int, int> capabilities;      // others answer 1
  std::vector<unsigned long> requests;  // but KVM_RUN
  // KVM_RUN, on the vCPU's thread.
  std::function<int(kvm_run& run)> on_run;

 private:
  kvm_run& Run(int fd) {
    absl::MutexLock lock(&mutex_);
    return *reinterpret_cast<kvm_run*>(runs_.at(fd).get());
  }

  std::map<unsigned long, Handler> handlers_;
  absl::Mutex mutex_;
  std::map<int, std::unique_ptr<uint64_t[]>> runs_;  // by vCPU descriptor
};

}  // namespace hearth

#endif  // HEARTH_RUNTIME_HYPERVISOR_KVM_IOCTLS_FAKE_H_
