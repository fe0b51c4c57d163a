// SPDX-License-Identifier: Apache-2.0
// Server: the REST API on a Unix stream socket.
//
// Its thread, "api", does the I/O, the HTTP, the JSON and the routing; what is left of a request
// runs on the main thread's event loop, one action at a time, and its response comes back by a
// post. The api thread never waits for the machine, and no client waits for another one's socket.
//
//   Router router(resources, &machine);
//   HEARTH_ASSIGN_OR_RETURN(auto server, Server::Create({.socket_path = path}, &router,
//   main_loop)); HEARTH_RETURN_IF_ERROR(server->Start()); main_loop->Run(); server->Stop();
#ifndef HEARTH_API_SERVER_SERVER_H_
#define HEARTH_API_SERVER_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api-server/router.h"
#include "base/event_loop.h"
#include "base/http1.h"

namespace hearth::api {

struct ServerOptions {
  std::string socket_path;
  base::http1::Limits limits;
  // One more, and the longest idle one is closed; with none idle, the new one gets 503.
  size_t max_connections = 64;
  // For a request to arrive whole, and for a response to be taken.
  absl::Duration timeout = absl::Seconds(10);
  // Runs on the api thread before anything else does, with all signals blocked: the place to
  // confine it. An error fails Start().
  absl::AnyInvocable<absl::Status()> thread_init;
};

// Every method runs on the main thread, that of `main_loop`.
class Server {
 public:
  // Makes the socket and listens: clients can connect, and are served after Start(). `router` and
  // `main_loop` outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Create(ServerOptions options, const Router* router,
                                                        base::EventLoop* main_loop);
  // Stops, and removes the socket's file.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts the thread. Once.
  absl::Status Start();
  // Sends the responses that are ready, closes all connections and joins the thread. Actions that
  // have not begun will not run. No effect when it does not run.
  void Stop();

 private:
  class ApiThread;
  explicit Server(std::unique_ptr<ApiThread> thread);
  const std::unique_ptr<ApiThread> thread_;
};

}  // namespace hearth::api

#endif  // HEARTH_API_SERVER_SERVER_H_
