// SPDX-License-Identifier: Apache-2.0
#include "runtime/hypervisor/kvm_ioctls.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>

namespace hearth {
namespace {

class SystemIoctls final : public KvmIoctls {
 public:
  int Open(const std::string& path) override {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
  }
  int Ioctl(int fd, unsigned long request, void* arg) override {
    const int result = ioctl(fd, request, arg);
    return result < 0 ? -errno : result;
  }
  void* MapRun(int vcpu_fd, size_t size) override {
    void* const run = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
    return run == MAP_FAILED ? nullptr : run;
  }
  void UnmapRun(void* run, size_t size) override { munmap(run, size); }
};

}  // namespace

KvmIoctls* KvmIoctls::System() {
  static SystemIoctls ioctls;
  return &ioctls;
}

}  // namespace hearth
