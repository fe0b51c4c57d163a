// SPDX-License-Identifier: Apache-2.0
#include "api-server/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "api-server/connection.h"
#include "api-server/listener.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/thread.h"

namespace hearth::api {
namespace {

// How long accept(2) is left alone when there are no descriptors.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

// How much of a request's target the log repeats.
constexpr size_t kLoggedTargetBytes = 128;

}  // namespace

class Server::ApiThread : public Connection::Owner {
 public:
  ApiThread(ServerOptions options, const Router* router, base::EventLoop* main_loop,
            std::unique_ptr<base::EventLoop> loop, std::unique_ptr<Listener> listener)
      : options_(std::move(options)),
        router_(*router),
        main_loop_(*main_loop),
        loop_(std::move(loop)),
        listener_(std::move(listener)),
        to_main_(std::make_shared<ToMain>()) {}

  // Main thread.
  absl::Status Start() {
    HEARTH_RETURN_IF_ERROR(Listen());
    absl::Status init_status;
    absl::Notification initialized;
    HEARTH_ASSIGN_OR_RETURN(
        thread_,
        base::Thread::Start(
            "api",
            [&, this] {
              if (options_.thread_init != nullptr) init_status = options_.thread_init();
              const bool ok = init_status.ok();
              initialized.Notify();  // `init_status` and `initialized` are gone after this
              if (ok) loop_->Run();
            }),
        "API thread");
    initialized.WaitForNotification();
    if (!init_status.ok()) thread_.Join();
    return base::Annotate(init_status, "API thread");
  }

  // Main thread.
  void Stop() {
    to_main_->stopped = true;
    if (!thread_.joinable()) return;
    loop_->Quit();
    thread_.Join();
    connections_.clear();
  }

  std::optional<Response> OnRequest(Connection& connection,
                                    const base::http1::Request& request) override {
    connection.set_last_used(next_id_++);
    absl::StatusOr<Action> action = router_.Route(request.method, request.target, request.body);
    const std::string line = absl::StrCat(
        request.method, " ", absl::string_view(request.target).substr(0, kLoggedTargetBytes));
    if (!action.ok()) {
      Response response = ErrorResponse(action.status());
      Log(line, response);
      return response;
    }
    waiting_.push_back({connection.id(), line, *std::move(action)});
    RunNextAction();
    return std::nullopt;
  }

  void OnClosed(Connection& connection) override {
    const auto it = FindConnection(connection.id());
    if (it == connections_.end()) return;
    // Its callback may still be on the stack.
    loop_->Post([gone = std::move(*it)] {});
    connections_.erase(it);
  }

 private:
  struct Waiting {
    uint64_t connection_id;
    std::string line;  // for the log
    Action action;
  };
  // What a task on the main thread finds when it runs late. Main thread only.
  struct ToMain {
    bool stopped = false;
  };
  using Connections = std::vector<std::unique_ptr<Connection>>;

  absl::Status Listen() {
    return loop_->Add(listener_->fd(), EPOLLIN, [this](uint32_t) { Accept(); });
  }

  // Until the host has room again for what is missing: descriptors, memory, epoll watches.
  void ListenLater() {
    loop_->PostDelayed(kAcceptPause, [this] {
      if (!Listen().ok()) ListenLater();
    });
  }

  void Accept() {
    base::UniqueFd fd(accept4(listener_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
      // The client stays in the queue; asking again at once would only spin.
      loop_->Remove(listener_->fd());
      ListenLater();
      return;
    }
    if (connections_.size() >= options_.max_connections && !CloseLongestIdle()) {
      const std::string response =
          base::http1::FormatResponse(503, FaultBody("Too many connections."), false);
      [[maybe_unused]] const ssize_t sent =
          send(fd.get(), response.data(), response.size(), MSG_NOSIGNAL);
      return;
    }
    connections_.push_back(std::make_unique<Connection>(next_id_++, std::move(fd), options_.limits,
                                                        options_.timeout, loop_.get(), this));
    if (!connections_.back()->Start().ok()) connections_.pop_back();
  }

  bool CloseLongestIdle() {
    Connection* longest = nullptr;
    for (const auto& connection : connections_) {
      if (!connection->idle()) continue;
      if (longest == nullptr || connection->last_used() < longest->last_used())
        longest = connection.get();
    }
    if (longest == nullptr) return false;
    longest->Close();
    return true;
  }

  Connections::iterator FindConnection(uint64_t id) {
    return std::find_if(connections_.begin(), connections_.end(),
                        [id](const auto& c) { return c->id() == id; });
  }

  void RunNextAction() {
    if (busy_ || waiting_.empty()) return;
    busy_ = true;
    // Runs even when its client has gone: it was asked for.
    main_loop_.Post([this, to_main = to_main_, next = std::move(waiting_.front())]() mutable {
      if (to_main->stopped) return;  // and `this` may be gone
      Response response = router_.Run(next.action);
      if (to_main->stopped) return;
      loop_->Post([this, id = next.connection_id, line = std::move(next.line),
                   response = std::move(response)] { OnDone(id, line, response); });
    });
    waiting_.pop_front();
  }

  void OnDone(uint64_t connection_id, absl::string_view line, const Response& response) {
    busy_ = false;
    Log(line, response);
    if (const auto it = FindConnection(connection_id); it != connections_.end())
      (*it)->Respond(response);
    RunNextAction();
  }

  // Bodies stay out of the log: they may hold secrets.
  static void Log(absl::string_view line, const Response& response) {
    if (response.status < 300) {
      HEARTH_LOG(kInfo, "API: ", line, ": ", response.status);
    } else {
      HEARTH_LOG(kWarning, "API: ", line, ": ", response.status, " ", response.body);
    }
  }

  ServerOptions options_;
  const Router& router_;
  base::EventLoop& main_loop_;
  const std::unique_ptr<base::EventLoop> loop_;
  const std::unique_ptr<Listener> listener_;
  const std::shared_ptr<ToMain> to_main_;
  base::Thread thread_;

  // The api thread's.
  Connections connections_;
  std::deque<Waiting> waiting_;
  bool busy_ = false;  // an action is on the main thread
  uint64_t next_id_ = 1;
};

Server::Server(std::unique_ptr<ApiThread> thread) : thread_(std::move(thread)) {}
Server::~Server() { Stop(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Create(ServerOptions options, const Router* router,
                                                       base::EventLoop* main_loop) {
  HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<base::EventLoop> loop, base::EventLoop::Create());
  HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<Listener> listener,
                          Listener::Create(options.socket_path));
  return std::unique_ptr<Server>(new Server(std::make_unique<ApiThread>(
      std::move(options), router, main_loop, std::move(loop), std::move(listener))));
}

absl::Status Server::Start() { return thread_->Start(); }
void Server::Stop() { thread_->Stop(); }

}  // namespace hearth::api
