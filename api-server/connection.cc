// SPDX-License-Identifier: Apache-2.0
#include "api-server/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace hearth::api {
namespace {

constexpr size_t kReadBytes = 4096;
// How long a client that was told to go may take to read that.
constexpr absl::Duration kDrainTimeout = absl::Seconds(1);

}  // namespace

Connection::Connection(uint64_t id, base::UniqueFd fd, const base::http1::Limits& limits,
                       absl::Duration timeout, base::EventLoop* loop, Owner* owner)
    : id_(id),
      fd_(std::move(fd)),
      timeout_(timeout),
      loop_(*loop),
      owner_(*owner),
      parser_(limits),
      last_used_(id) {}

Connection::~Connection() {
  if (state_ == State::kClosed) return;
  loop_.Remove(fd_.get());
  if (timer_) loop_.Cancel(*timer_);
}

absl::Status Connection::Start() {
  events_ = EPOLLIN;
  return loop_.Add(fd_.get(), events_, [this](uint32_t events) { OnEvents(events); });
}

bool Connection::idle() const {
  if (state_ == State::kDraining) return true;
  return state_ == State::kReading && !parser_.in_request() && output_.empty();
}

void Connection::Respond(const Response& response) {
  if (state_ != State::kWaiting) return;
  state_ = State::kReading;
  Send(response, keep_alive_);
  ServeInput();
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  loop_.Remove(fd_.get());
  if (timer_) loop_.Cancel(*timer_);
  owner_.OnClosed(*this);
}

void Connection::OnEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    Flush();
    if (state_ == State::kReading) ServeInput();
  } else if ((events & EPOLLIN) != 0) {
    Read();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    Close();
  }
}

void Connection::Read() {
  char buffer[kReadBytes];
  const ssize_t n = recv(fd_.get(), buffer, sizeof(buffer), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return Close();
  if (state_ == State::kDraining) return;
  input_.append(buffer, static_cast<size_t>(n));
  ServeInput();
}

void Connection::ServeInput() {
  absl::string_view data = input_;
  // Nothing more is read for a client that does not take what it was sent.
  while (state_ == State::kReading && output_.empty() && !data.empty()) {
    const base::http1::RequestParser::State parsed = parser_.Parse(&data);
    if (parsed == base::http1::RequestParser::State::kRefused) {
      const base::http1::Refusal& refusal = parser_.refusal();
      data = "";
      Send({.status = refusal.status, .body = FaultBody(refusal.message)}, false);
    } else if (parsed == base::http1::RequestParser::State::kComplete) {
      // The clock of this request; the next one has its own.
      if (timer_) loop_.Cancel(*std::exchange(timer_, std::nullopt));
      keep_alive_ = parser_.request().keep_alive;
      state_ = State::kWaiting;
      const std::optional<Response> response = owner_.OnRequest(*this, parser_.request());
      if (!response) break;
      state_ = State::kReading;
      Send(*response, keep_alive_);
    } else if (parser_.TakeExpectContinue()) {
      output_ += base::http1::FormatContinue();
      Flush();
    }
  }
  // `data` looks into input_.
  input_.erase(0, input_.size() - data.size());
  if (input_.empty()) input_.shrink_to_fit();
  Update();
}

void Connection::Send(const Response& response, bool keep_alive) {
  keep_alive_ = keep_alive;
  output_ += base::http1::FormatResponse(response.status, response.body, keep_alive);
  Flush();
}

void Connection::Flush() {
  if (state_ == State::kClosed) return;
  while (!output_.empty()) {
    const ssize_t n = send(fd_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return Close();
    output_.erase(0, static_cast<size_t>(n));
  }
  if (output_.empty() && !keep_alive_ && state_ == State::kReading) BeginDraining();
  Update();
}

void Connection::BeginDraining() {
  // Closed at once, with input unread, the client would get ECONNRESET or EPIPE instead of our
  // response.
  shutdown(fd_.get(), SHUT_WR);
  state_ = State::kDraining;
  input_.clear();
  if (timer_) loop_.Cancel(*timer_);
  timer_ = loop_.PostDelayed(kDrainTimeout, [this] {
    timer_.reset();
    Close();
  });
}

void Connection::Update() {
  if (state_ == State::kClosed) return;
  const bool reads = state_ == State::kDraining || (state_ == State::kReading && output_.empty());
  const uint32_t events = (reads ? EPOLLIN : 0u) | (output_.empty() ? 0u : EPOLLOUT);
  // Modify() of a good descriptor does not fail.
  if (events != std::exchange(events_, events) && !loop_.Modify(fd_.get(), events).ok())
    return Close();
  if (state_ == State::kDraining) return;
  const bool hurry = !output_.empty() || (state_ == State::kReading && parser_.in_request());
  if (hurry && !timer_) {
    timer_ = loop_.PostDelayed(timeout_, [this] {
      timer_.reset();
      OnTimeout();
    });
  } else if (!hurry && timer_) {
    loop_.Cancel(*std::exchange(timer_, std::nullopt));
  }
}

void Connection::OnTimeout() {
  if (!output_.empty()) return Close();
  Send({.status = 408, .body = FaultBody("The request did not arrive in time.")}, false);
}

}  // namespace hearth::api
