// SPDX-License-Identifier: Apache-2.0
// The server behind a real socket, with clients that behave and clients that do not.
#include "api-server/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/control/machine_control_fake.h"
#include "runtime/control/resource_fake.h"

namespace hearth::api {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kNoContent[] =
    "HTTP/1.1 204 \r\nServer: Hearth API\r\nConnection: keep-alive\r\n\r\n";

std::string Put(absl::string_view body, absl::string_view headers = "") {
  return absl::StrCat("PUT /sample HTTP/1.1\r\n", headers, "Content-Length: ", body.size(),
                      "\r\n\r\n", body);
}

class Client {
 public:
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    connected_ =
        connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  bool connected() const { return connected_; }
  int fd() const { return fd_.get(); }

  // How much of `text` the server took.
  size_t Send(absl::string_view text) {
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    return sent;
  }
  // Until `size` bytes are there, or the server closes.
  std::string Receive(size_t size) {
    std::string out;
    char buffer[4096];
    while (out.size() < size) {
      const ssize_t n = recv(fd_.get(), buffer, std::min(sizeof(buffer), size - out.size()), 0);
      if (n <= 0) break;
      out.append(buffer, static_cast<size_t>(n));
    }
    return out;
  }
  std::string ReceiveAll() { return Receive(1 << 20); }
  // The response to a request on a connection that goes on.
  std::string Ask(absl::string_view request, absl::string_view response) {
    EXPECT_EQ(Send(request), request.size());
    return Receive(response.size());
  }

 private:
  const base::UniqueFd fd_;
  bool connected_ = false;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    char dir[] = "/tmp/api_XXXXXX";
    dir_ = mkdtemp(dir);
    path_ = dir_ + "/api.sock";
    auto resource = std::make_unique<FakeResource>();
    resource_ = resource.get();
    resources_.push_back(std::move(resource));
    router_ = std::make_unique<Router>(resources_, &machine_);
    main_loop_ = *base::EventLoop::Create();
  }
  ~ServerTest() override {
    Finish();
    unlink(path_.c_str());
    rmdir(dir_.c_str());
  }

  void Run(ServerOptions options = {}) {
    options.socket_path = path_;
    auto server = Server::Create(std::move(options), router_.get(), main_loop_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_TRUE(server_->Start().ok());
    main_thread_ = std::thread([this] { main_loop_->Run(); });
  }
  void Finish() {
    if (main_thread_.joinable()) {
      main_loop_->Quit();
      main_thread_.join();
    }
    server_.reset();
  }

  std::string dir_;
  std::string path_;
  FakeMachineControl machine_;
  std::vector<std::unique_ptr<Resource>> resources_;
  FakeResource* resource_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<base::EventLoop> main_loop_;
  std::unique_ptr<Server> server_;
  std::thread main_thread_;
};

TEST_F(ServerTest, AnswersOnAConnectionThatGoesOn) {
  Run();
  Client client(path_);
  EXPECT_EQ(client.Ask(Put(R"({"count":7})"), kNoContent), kNoContent);
  const std::string expected =
      "HTTP/1.1 200 \r\nServer: Hearth API\r\nConnection: keep-alive\r\nContent-Type: "
      "application/json\r\n"
      "Content-Length: 11\r\n\r\n{\"count\":7}";
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(client.Ask("GET /sample HTTP/1.1\r\n\r\n", expected), expected);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Run();
  Client client(path_);
  std::string requests;
  for (int i = 1; i <= 64; ++i) {
    absl::StrAppend(&requests, Put(absl::StrCat("{\"count\":", i, "}")),
                    "GET /sample HTTP/1.1\r\n\r\n", "GET /nothing HTTP/1.1\r\n\r\n");
  }
  absl::StrAppend(&requests, "GET /sample HTTP/1.1\r\nConnection: close\r\n\r\n");
  ASSERT_EQ(client.Send(requests), requests.size());
  const std::string responses = client.ReceiveAll();
  size_t at = 0;
  for (int i = 1; i <= 64; ++i) {
    at = responses.find(absl::StrCat("{\"count\":", i, "}"), at);
    ASSERT_NE(at, std::string::npos) << i;
    at = responses.find("GET nothing.", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_THAT(responses.substr(at), HasSubstr("Connection: close\r\n"));
}

TEST_F(ServerTest, TakesChunksAndSingleBytes) {
  Run();
  Client client(path_);
  const std::string request =
      "PUT /sample HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "8\r\n{\"count\"\r\n3\r\n:5}\r\n0\r\n\r\n";
  for (const char c : request) ASSERT_EQ(client.Send({&c, 1}), 1u);
  EXPECT_EQ(client.Receive(sizeof(kNoContent) - 1), kNoContent);
}

TEST_F(ServerTest, SendsContinue) {
  Run();
  Client client(path_);
  ASSERT_GT(
      client.Send("PUT /sample HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"),
      0u);
  EXPECT_EQ(client.Receive(17), "HTTP/1.1 100 \r\n\r\n");
  EXPECT_EQ(client.Ask("{\"count\":5}", kNoContent), kNoContent);
}

TEST_F(ServerTest, AnswersAClientThatSaidAllItWanted) {
  Run();
  Client client(path_);
  client.Send(Put(R"({"count":7})"));
  shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(client.ReceiveAll(), kNoContent);
}

TEST_F(ServerTest, RefusesAndCloses) {
  Run({.limits = {.max_body_bytes = 1000}});
  EXPECT_TRUE(Client(path_).connected());
  for (const auto& [request, status] : std::vector<std::pair<std::string, std::string>>{
           {"nonsense\r\n\r\n", "400 "},
           {"GET / HTTP/1.1\r\n" + std::string(100000, 'x'), "431 "},
           {Put(std::string(100000, ' ')), "413 "},
           {"PUT /sample HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" +
                std::string(65535, ' '),
            "413 "},
       }) {
    Client client(path_);
    EXPECT_EQ(client.Send(request), request.size());
    const std::string response = client.ReceiveAll();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 " + status));
    EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
    EXPECT_THAT(response, HasSubstr("{\"fault_message\":\""));
  }
}

TEST_F(ServerTest, GoesOnAfterABadBody) {
  Run();
  Client client(path_);
  const std::string bad = "HTTP/1.1 400 \r\nServer: Hearth API\r\nConnection: keep-alive\r\n";
  client.Send(Put("{\"path\":\"\xff\"}") + Put(R"({"count":7})", "Connection: close\r\n"));
  const std::string response = client.ReceiveAll();
  EXPECT_THAT(response, StartsWith(bad));
  EXPECT_THAT(response, HasSubstr("sample: not valid JSON"));
  EXPECT_THAT(response, HasSubstr("HTTP/1.1 204 "));
}

TEST_F(ServerTest, NobodyWaitsForAnotherClient) {
  // The first client's action holds up the main thread.
  absl::Notification entered;
  absl::Notification release;
  std::atomic<int> calls = 0;
  resource_->on_call = [&] {
    if (++calls > 1) return;
    entered.Notify();
    release.WaitForNotification();
  };
  Run();
  Client slow(path_);
  slow.Send(Put(R"({"count":1})"));
  entered.WaitForNotification();
  Client half(path_);
  half.Send("PUT /sample HTT");
  // What needs no machine is answered meanwhile; what does waits its turn.
  Client waits(path_);
  waits.Send(Put(R"({"count":2})"));
  Client quick(path_);
  EXPECT_THAT(quick.Ask("GET /nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
              StartsWith("HTTP/1.1 400 "));
  pollfd poll_waits = {.fd = waits.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&poll_waits, 1, 20), 0);
  EXPECT_EQ(calls, 1);
  release.Notify();
  EXPECT_EQ(slow.Receive(sizeof(kNoContent) - 1), kNoContent);
  EXPECT_EQ(waits.Receive(sizeof(kNoContent) - 1), kNoContent);
}

TEST_F(ServerTest, AClientMayVanish) {
  absl::Notification entered;
  absl::Notification release;
  std::atomic<int> calls = 0;
  resource_->on_call = [&] {
    if (++calls > 1) return;
    entered.Notify();
    release.WaitForNotification();
  };
  Run();
  {
    Client gone(path_);
    gone.Send(Put(R"({"count":1})") + Put(R"({"count":9})"));
    entered.WaitForNotification();
  }
  { Client(path_).Send("PUT /sample HTTP/1.1\r\nContent-Len"); }
  release.Notify();
  Client client(path_);
  EXPECT_EQ(client.Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
}

TEST_F(ServerTest, AHalfSentRequestHasATimeLimit) {
  Run({.timeout = absl::Milliseconds(50)});
  Client idle(path_);
  Client half(path_);
  half.Send("PUT /sample HTTP/1.1\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_THAT(half.ReceiveAll(), StartsWith("HTTP/1.1 408 "));
  // An idle connection has none.
  EXPECT_EQ(idle.Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
}

TEST_F(ServerTest, AClientThatReadsNothingIsLetGo) {
  Run({.timeout = absl::Milliseconds(50)});
  Client client(path_);
  fcntl(client.fd(), F_SETFL, O_NONBLOCK);
  // Far more responses than the socket's buffers hold.
  std::string requests;
  for (int i = 0; i < 20000; ++i) requests += "GET /nothing HTTP/1.1\r\n\r\n";
  size_t sent = 0;
  short revents = 0;
  while ((revents & (POLLHUP | POLLERR)) == 0) {
    pollfd p = {.fd = client.fd(), .events = POLLOUT, .revents = 0};
    ASSERT_EQ(poll(&p, 1, 10000), 1) << "neither taken nor let go";
    revents = p.revents;
    if ((revents & POLLOUT) != 0)
      sent += client.Send(absl::string_view(requests).substr(sent % requests.size()));
  }
  Client other(path_);
  EXPECT_EQ(other.Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
}

TEST_F(ServerTest, TheLongestIdleConnectionMakesRoom) {
  Run({.max_connections = 3});
  Client a(path_);
  Client b(path_);
  Client c(path_);
  for (Client* client : {&b, &c, &a})
    EXPECT_EQ(client->Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
  Client d(path_);
  EXPECT_EQ(d.Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
  EXPECT_EQ(b.ReceiveAll(), "");
  EXPECT_EQ(a.Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
}

TEST_F(ServerTest, WithoutAnIdleOneTheNewOneIsRefused) {
  absl::Notification entered;
  absl::Notification release;
  std::atomic<int> calls = 0;
  resource_->on_call = [&] {
    if (++calls > 1) return;
    entered.Notify();
    release.WaitForNotification();
  };
  Run({.max_connections = 1});
  Client busy(path_);
  busy.Send(Put(R"({"count":3})"));
  entered.WaitForNotification();
  EXPECT_THAT(Client(path_).ReceiveAll(), StartsWith("HTTP/1.1 503 "));
  release.Notify();
  EXPECT_EQ(busy.Receive(sizeof(kNoContent) - 1), kNoContent);
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  Run();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 20; ++i) {
        Client client(path_);
        EXPECT_EQ(client.Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ServerTest, TheSocketIsThereWhileTheServerIs) {
  Run();
  ServerOptions options;
  options.socket_path = path_;
  const auto second = Server::Create(std::move(options), router_.get(), main_loop_.get());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another server listens on it"));
  EXPECT_EQ(Client(path_).Ask(Put(R"({"count":3})"), kNoContent), kNoContent);
  Finish();
  EXPECT_NE(access(path_.c_str(), F_OK), 0) << "our file is left behind";
}

TEST_F(ServerTest, TheThreadsFirstActMayFail) {
  ServerOptions options;
  options.socket_path = path_;
  options.thread_init = [] { return absl::InternalError("no filter"); };
  auto server = Server::Create(std::move(options), router_.get(), main_loop_.get());
  ASSERT_TRUE(server.ok());
  EXPECT_EQ((*server)->Start(), absl::InternalError("API thread: no filter"));
}

TEST_F(ServerTest, AHandlerMayEndTheProcess) {
  // The response gets out although the main loop quits in the handler.
  resource_->on_call = [this] { main_loop_->Quit(); };
  Run();
  Client client(path_);
  client.Send(Put(R"({"count":3})"));
  main_thread_.join();
  server_->Stop();
  EXPECT_EQ(client.ReceiveAll(), kNoContent);
}

}  // namespace
}  // namespace hearth::api
