// SPDX-License-Identifier: Apache-2.0
// Connection: one client of the API.
//
//   kReading --request--> kWaiting --Respond()--> kReading      (a pipelined request waits unread
//   in between)
//       \--refusal, "Connection: close"--> kDraining --> kClosed
//
// Nothing blocks. A request must arrive whole, and a response be taken, within the timeout; an idle
// connection may stay. The api thread owns it all.
#ifndef HEARTH_API_SERVER_CONNECTION_H_
#define HEARTH_API_SERVER_CONNECTION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "api-server/router.h"
#include "base/event_loop.h"
#include "base/http1.h"
#include "base/unique_fd.h"

namespace hearth::api {

class Connection {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The response if it is known at once; else nullopt, and Respond() follows.
    virtual std::optional<Response> OnRequest(Connection& connection,
                                              const base::http1::Request& request) = 0;
    // The last thing that the connection calls. It may be destroyed once its callback has returned.
    virtual void OnClosed(Connection& connection) = 0;
  };

  // `loop` and `owner` outlive the connection.
  Connection(uint64_t id, base::UniqueFd fd, const base::http1::Limits& limits,
             absl::Duration timeout, base::EventLoop* loop, Owner* owner);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::Status Start();
  // Answers the request that OnRequest() left open.
  void Respond(const Response& response);
  // Drops it without a word.
  void Close();

  uint64_t id() const { return id_; }
  // Between requests, or being closed: nobody loses anything when it goes.
  bool idle() const;
  // The id of the latest request or, before any, of the connection itself: smaller is longer ago.
  uint64_t last_used() const { return last_used_; }
  void set_last_used(uint64_t last_used) { last_used_ = last_used; }

 private:
  enum class State { kReading, kWaiting, kDraining, kClosed };

  void OnEvents(uint32_t events);
  void Read();
  // Serves the requests in input_ until one has to wait.
  void ServeInput();
  void Send(const Response& response, bool keep_alive);
  void Flush();
  void BeginDraining();
  // Sets what to watch for, and starts or stops the clock.
  void Update();
  void OnTimeout();

  const uint64_t id_;
  const base::UniqueFd fd_;
  const absl::Duration timeout_;
  base::EventLoop& loop_;
  Owner& owner_;
  base::http1::RequestParser parser_;
  State state_ = State::kReading;
  std::string input_;   // read, not parsed yet; at most one read's worth
  std::string output_;  // not written yet
  bool keep_alive_ = true;
  uint32_t events_ = 0;
  std::optional<uint64_t> timer_;
  uint64_t last_used_;
};

}  // namespace hearth::api

#endif  // HEARTH_API_SERVER_CONNECTION_H_
