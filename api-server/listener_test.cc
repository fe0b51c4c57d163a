// SPDX-License-Identifier: Apache-2.0
#include "api-server/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hearth::api {
namespace {

using ::testing::HasSubstr;

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() {
    char dir[] = "/tmp/listener_XXXXXX";
    dir_ = mkdtemp(dir);
    path_ = dir_ + "/api.sock";
  }
  ~ListenerTest() override {
    unlink(path_.c_str());
    rmdir(dir_.c_str());
  }
  static std::string ErrorOf(const std::string& path) {
    return std::string(Listener::Create(path).status().message());
  }
  bool Exists() const { return access(path_.c_str(), F_OK) == 0; }

  std::string dir_;
  std::string path_;
};

TEST_F(ListenerTest, TheFileLivesAsLongAsTheListener) {
  {
    const auto listener = Listener::Create(path_);
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_TRUE(Exists());
    EXPECT_EQ(ErrorOf(path_),
              "API socket " + path_ + ": another server listens on it; choose another path");
  }
  EXPECT_FALSE(Exists());
}

TEST_F(ListenerTest, ADeadServersSocketIsLeftAlone) {
  {
    const base::UniqueFd dead(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  EXPECT_EQ(ErrorOf(path_),
            "API socket " + path_ +
                ": is there already and nobody listens on it; remove it if its server is gone");
  EXPECT_TRUE(Exists());
}

TEST_F(ListenerTest, AnotherFileIsLeftAlone) {
  const base::UniqueFd file(open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_THAT(ErrorOf(path_), HasSubstr("a file of that name is there already"));
  EXPECT_TRUE(Exists());
}

TEST_F(ListenerTest, AFileThatTookOursPlaceStays) {
  {
    const auto listener = Listener::Create(path_);
    ASSERT_TRUE(listener.ok());
    ASSERT_EQ(unlink(path_.c_str()), 0);
    const base::UniqueFd file(open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }
  EXPECT_TRUE(Exists());
}

TEST_F(ListenerTest, ErrorsNameThePath) {
  EXPECT_EQ(ErrorOf(""), "API socket \"\": a socket's path has 1 to 107 bytes, not 0");
  EXPECT_THAT(ErrorOf("/tmp/" + std::string(200, 'x')), HasSubstr("1 to 107 bytes, not 205"));
  EXPECT_EQ(ErrorOf(dir_ + "/no/such"), "bind " + dir_ + "/no/such: No such file or directory");
}

}  // namespace
}  // namespace hearth::api
