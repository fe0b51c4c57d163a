// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/net/transmitter.h"

#include <algorithm>
#include <cstring>

namespace hearth::virtio::net {
namespace {

// Of a frame, from its start: where its sender is.
constexpr size_t kSourceOffset = 6;

}  // namespace

Transmitter::Transmitter(Port* port, Throttle* throttle, PacketHook* hook, Counters* counters)
    : port_(port), throttle_(throttle), hook_(hook), counters_(*counters) {
  if (hook_ != nullptr) copy_ = std::make_unique_for_overwrite<uint8_t[]>(kMaxPacketBytes);
}

Transmitter::Result Transmitter::Run(int budget) {
  const Result result = RunUnpublished(budget);
  if (port_->Flush() == Port::SendResult::kFailed) counters_.tx_fails.Add();
  queue_->Publish();
  return result;
}

Transmitter::Result Transmitter::RunUnpublished(int budget) {
  queue_->DisableNotify();
  while (budget-- > 0) {
    switch (queue_->Pop(&chain_)) {
      case Queue::PopResult::kEmpty:
        return Result::kIdle;
      case Queue::PopResult::kFault:
        return Result::kFault;
      case Queue::PopResult::kChain:
        break;
    }
    if (const std::optional<Result> wait = SendOne(); wait.has_value()) {
      queue_->Unpop(&chain_);
      return *wait;
    }
    queue_->Complete(&chain_, 0);
  }
  return Result::kMore;
}

std::optional<Transmitter::Result> Transmitter::SendOne() {
  const uint32_t bytes = chain_.readable_bytes();
  if (bytes < kHeaderBytes + kEthernetBytes || bytes > kMaxPacketBytes) [[unlikely]] {
    counters_.tx_malformed_frames.Add();
    return std::nullopt;
  }
  if (!link_up_) [[unlikely]] {
    counters_.tx_link_down_drops.Add();
    return std::nullopt;
  }
  uint8_t start[kHeaderBytes + kHookLookBytes];
  if (hook_ != nullptr || mac_.has_value()) {
    const uint32_t start_bytes = std::min<uint32_t>(bytes, sizeof(start));
    (void)chain_.CopyOut(0, start, start_bytes);
    if (hook_ != nullptr && GiveToHook(start, start_bytes)) return std::nullopt;
  }
  const uint32_t frame_bytes = bytes - kHeaderBytes;
  if (!throttle_->unlimited() && !paid_ &&
      !throttle_->Take(frame_bytes, std::chrono::steady_clock::now())) {
    counters_.tx_rate_limiter_throttled.Add();
    return Result::kThrottled;
  }
  const Port::SendResult result = port_->Send(chain_.readable(), bytes);
  paid_ = result == Port::SendResult::kFull;
  switch (result) {
    case Port::SendResult::kSent:
      if (mac_.has_value() &&
          std::memcmp(start + kHeaderBytes + kSourceOffset, mac_->data(), mac_->size()) != 0) {
        counters_.tx_spoofed_mac_count.Add();
      }
      counters_.tx_packets_count.Add();
      counters_.tx_bytes_count.Add(frame_bytes);
      return std::nullopt;
    case Port::SendResult::kFull:
      counters_.tx_full.Add();
      return Result::kFull;
    case Port::SendResult::kBad:
      counters_.tx_malformed_frames.Add();
      return std::nullopt;
    case Port::SendResult::kFailed:
      counters_.tx_fails.Add();
      return std::nullopt;
  }
  return std::nullopt;
}

bool Transmitter::GiveToHook(const uint8_t* start, uint32_t start_bytes) {
  if (!IsFor(hook_->address(), {start + kHeaderBytes, start_bytes - kHeaderBytes})) return false;
  // The whole packet at once: what IsFor() saw is what the hook gets, whatever the driver does.
  const uint32_t bytes = chain_.readable_bytes();
  std::memcpy(copy_.get(), start, start_bytes);
  (void)chain_.CopyOut(start_bytes, copy_.get() + start_bytes, bytes - start_bytes);
  NetHeader header;
  std::memcpy(&header, copy_.get(), kHeaderBytes);
  if (!hook_->OnPacket(header, {copy_.get() + kHeaderBytes, bytes - kHeaderBytes})) return false;
  counters_.hook_tx_packets.Add();
  hooked_ = true;
  return true;
}

}  // namespace hearth::virtio::net
