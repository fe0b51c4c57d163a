// SPDX-License-Identifier: Apache-2.0
#include "api-server/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace hearth::api {
namespace {

constexpr int kBacklog = 64;

const sockaddr* AsSockaddr(const sockaddr_un& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

// Why bind(2) said EADDRINUSE.
absl::Status ExplainInUse(const std::string& path, const sockaddr_un& address) {
  struct stat st;
  if (lstat(path.c_str(), &st) == 0 && !S_ISSOCK(st.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("API socket ", path, ": a file of that name is there already"));
  }
  const base::UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int result = connect(probe.get(), AsSockaddr(address), sizeof(address));
  if (result != 0 && errno == ECONNREFUSED) {
    return absl::AlreadyExistsError(absl::StrCat(
        "API socket ", path,
        ": is there already and nobody listens on it; remove it if its server is gone"));
  }
  return absl::AlreadyExistsError(
      absl::StrCat("API socket ", path, ": another server listens on it; choose another path"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Create(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("API socket \"", path, "\": a socket's path has 1 to ",
                     sizeof(address.sun_path) - 1, " bytes, not ", path.size()));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  base::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return base::ErrnoStatus("socket", "AF_UNIX");
  if (bind(fd.get(), AsSockaddr(address), sizeof(address)) != 0) {
    if (errno == EADDRINUSE) return ExplainInUse(path, address);
    return base::ErrnoStatus("bind", path);
  }
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return base::ErrnoStatus("lstat", path);
  std::unique_ptr<Listener> listener(new Listener(path, std::move(fd), st.st_dev, st.st_ino));
  if (listen(listener->fd(), kBacklog) != 0) return base::ErrnoStatus("listen", path);
  return listener;
}

Listener::~Listener() {
  struct stat st;
  if (lstat(path_.c_str(), &st) != 0 || st.st_dev != device_ || st.st_ino != inode_) return;
  unlink(path_.c_str());
}

}  // namespace hearth::api
