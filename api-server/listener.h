// SPDX-License-Identifier: Apache-2.0
// Listener: a listening Unix stream socket and its file.
#ifndef HEARTH_API_SERVER_LISTENER_H_
#define HEARTH_API_SERVER_LISTENER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace hearth::api {

class Listener {
 public:
  // Makes the socket's file at `path`, with the rights that the umask leaves, and listens
  // (non-blocking, close-on-exec). A file that is there already is left alone: the error says
  // whether a server answers behind it.
  static absl::StatusOr<std::unique_ptr<Listener>> Create(const std::string& path);
  // Removes the file, if it is still the one that Create() made. Calls newfstatat(2) and unlink(2).
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int fd() const { return fd_.get(); }

 private:
  Listener(std::string path, base::UniqueFd fd, dev_t device, ino_t inode)
      : path_(std::move(path)), fd_(std::move(fd)), device_(device), inode_(inode) {}

  const std::string path_;
  const base::UniqueFd fd_;
  const dev_t device_;
  const ino_t inode_;
};

}  // namespace hearth::api

#endif  // HEARTH_API_SERVER_LISTENER_H_
