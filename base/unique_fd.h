// SPDX-License-Identifier: Apache-2.0
// UniqueFd: sole owner of a file descriptor. Move-only; closes on destruction.
#ifndef HEARTH_BASE_UNIQUE_FD_H_
#define HEARTH_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace hearth::base {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0 && fd_ != fd) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_UNIQUE_FD_H_
