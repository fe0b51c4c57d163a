// SPDX-License-Identifier: Apache-2.0
// The watches of an EventLoop; private to it.
#ifndef HEARTH_BASE_EVENT_LOOP_WATCH_H_
#define HEARTH_BASE_EVENT_LOOP_WATCH_H_

#include <cstdint>

#include "base/event_loop.h"
#include "base/io_ring.h"

namespace hearth::base {

struct EventLoop::Watch {
  const int fd;
  uint32_t events;
  FdCallback callback;
  bool removed = false;

  // --- Of io_uring. nullptr: not armed.
  Poll* poll = nullptr;
  // A level-triggered watch for whose fd io_uring reports only EPOLLRDHUP, which it always does and
  // nobody asked for: armed again as it is, it would complete again at once, for ever. So it is
  // polled edge-triggered until it has something to tell.
  bool muted = false;
};

// A poll of a watch's fd in the kernel. Outlives the watch until the kernel has told its end.
class EventLoop::Poll final : public IoOperation {
 public:
  explicit Poll(EventLoop* loop) : loop_(loop) {}
  void Start(Watch* watch);
  // The watch does not want it any more.
  void Abandon();
  void OnComplete(int32_t result) override;

 private:
  EventLoop* const loop_;
  Watch* watch_ = nullptr;  // nullptr: free or abandoned
  bool multishot_ = false;
};

}  // namespace hearth::base

#endif  // HEARTH_BASE_EVENT_LOOP_WATCH_H_
