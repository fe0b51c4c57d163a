// SPDX-License-Identifier: Apache-2.0
// Short cuts between a noun's typed message and the untyped Call and Reply.
#ifndef HEARTH_RUNTIME_CONTROL_REPLY_H_
#define HEARTH_RUNTIME_CONTROL_REPLY_H_

#include <memory>
#include <utility>
#include <vector>

#include "runtime/control/resource.h"

namespace hearth {

// The call's body, which must be a `Message`: the type that the verb's schema names.
template <typename Message>
const Message& BodyOf(const Call& call) {
  return static_cast<const Message&>(*call.body);
}

template <typename Message>
Reply ReplyWith(Message message, const json::Schema& schema) {
  return {.body = std::make_unique<Message>(std::move(message)), .schema = &schema};
}

template <typename Message>
std::vector<Reply> OneReply(Message message, const json::Schema& schema) {
  std::vector<Reply> replies;
  replies.push_back(ReplyWith(std::move(message), schema));
  return replies;
}

}  // namespace hearth

#endif  // HEARTH_RUNTIME_CONTROL_REPLY_H_
