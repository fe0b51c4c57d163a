// SPDX-License-Identifier: Apache-2.0
// NetDevice: the virtio network device over one backend.
//
// Each pair of queues has a Transmitter and a Receiver over a port of the backend; the device runs
// them when there is something to do: up to a budget of packets, so that other devices of the loop
// get their turn, and again in the loop's next turn if there was more. Nothing is in flight between
// turns but a packet that waits for the guest's buffers or for the receive limiter.
//
// In a quick exchange of packets the device looks for the guest's next one itself, with
// notifications off (SpinPolicy). Source: virtio 1.2, "Network Device".
#ifndef HEARTH_DEVICES_VIRTIO_NET_NET_DEVICE_H_
#define HEARTH_DEVICES_VIRTIO_NET_NET_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/event_loop.h"
#include "base/rate_limiter.h"
#include "devices/virtio/core/device.h"
#include "devices/virtio/net/backend.h"
#include "devices/virtio/net/control_queue.h"
#include "devices/virtio/net/counters.h"
#include "devices/virtio/net/driver_settings.h"
#include "devices/virtio/net/mac_address.h"
#include "devices/virtio/net/packet_hook.h"
#include "devices/virtio/net/receiver.h"
#include "devices/virtio/net/spin_policy.h"
#include "devices/virtio/net/throttle.h"
#include "devices/virtio/net/transmitter.h"

namespace hearth::virtio::net {

struct NetOptions {
  // Names the device in the log: "network-interfaces/eth0".
  std::string path;
  // nullopt: MAC is not offered, and the guest chooses one.
  std::optional<MacAddress> mac;
  // nullopt: MTU is not offered.
  std::optional<uint16_t> mtu;
  uint16_t queue_size = 256;
  // Offer the offloads that the backend has.
  bool offloads = true;
  base::RateLimiter::Options rx_limit, tx_limit;
  // May be nullptr; outlives the device.
  PacketHook* hook = nullptr;
};

class NetDevice final : public Device,
                        private Backend::Owner,
                        private ControlTarget,
                        private base::EventLoop::Poller {
 public:
  // The backend's pairs() are the device's. Main thread.
  NetDevice(NetOptions options, std::unique_ptr<Backend> backend, const DeviceContext& context);
  ~NetDevice() override;

  // --- Any thread.
  uint32_t virtio_id() const override { return kVirtioId; }
  uint64_t features() const override { return features_; }
  absl::Span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
  ConfigSpace& config_space() override { return config_; }
  absl::Status CheckFeatures(uint64_t features) const override;
  void VisitMetrics(base::MetricVisitor visitor) const override { counters_.Visit(visitor); }

  // --- Device thread.
  void Activate(Activation activation) override;
  void OnNotify(uint16_t queue) override;
  void Deactivate(absl::AnyInvocable<void(Queues)> done) override;
  void Reset() override;
  std::string Save() override;
  absl::Status Restore(absl::string_view state) override;

  // A PATCH; active or not. What waits for the limiters tries again.
  void UpdateLimits(absl::FunctionRef<void(base::RateLimiter* rx, base::RateLimiter* tx)> update);
  // A PATCH: plugs the cable in or out.
  void SetLinkUp(bool up);
  bool link_up() const { return link_up_ && backend_->carrier(); }

 private:
  // How many packets a pair moves before others get their turn.
  static constexpr int kBudget = 64;

  struct Pair {
    Pair(Port* port, Throttle* rx_throttle, Throttle* tx_throttle, PacketHook* hook,
         Counters* counters)
        : rx(port, rx_throttle, hook, counters), tx(port, tx_throttle, hook, counters) {}
    Receiver rx;
    Transmitter tx;
    bool rx_starved = false;  // no buffers
    bool rx_throttled = false;
    bool rx_more = false;  // the budget was used up
    bool tx_full = false;
    bool tx_throttled = false;
    bool tx_more = false;
  };

  // --- The work.
  void RunTx(size_t index);
  void RunRx(size_t index);
  void RunControl();
  void RunMore();
  void RunAll();
  void RetryHeld();
  void OnRxReady();
  void OnTxReady();
  void Break(absl::string_view why);
  size_t pairs_in_use() const { return active_ ? settings_.queue_pairs : 0; }

  // --- Backend::Owner.
  void OnReadable(size_t pair) override;
  void OnWritable(size_t pair) override;
  void OnCarrier() override;

  // --- ControlTarget.
  bool SetReceiveMode(RxCommand command, bool on) override;
  bool SetMacTable(MacTable table) override;
  bool SetMacAddress(const MacAddress& mac) override;
  bool AcknowledgeAnnounce() override;
  bool SetQueuePairs(uint16_t pairs) override;
  bool SetGuestOffloads(uint64_t offloads) override;

  // --- Spinning.
  bool Poll() override;
  void ExpectMore();
  void StopSpinning();

  // --- Settings and their effects.
  void ApplyFilter();
  void ApplyMac();
  bool ApplyOffloads();
  bool ApplyPairs();
  // Tells the driver what it has to know of the link.
  void UpdateStatus();
  base::MonotonicTime Now() const { return std::chrono::steady_clock::now(); }

  const NetOptions options_;
  base::EventLoop* const loop_;
  const std::unique_ptr<Backend> backend_;
  const uint64_t features_;
  const std::vector<uint16_t> queue_sizes_;
  ConfigSpace config_;
  Counters counters_;
  Throttle rx_throttle_, tx_throttle_;
  std::vector<std::unique_ptr<Pair>> pairs_;
  base::TurnTask more_;
  base::Timer retry_;
  bool link_up_ = true;  // as the API says
  bool told_up_ = true;  // as the transmitters and the driver know

  DriverSettings settings_;
  bool announcing_ = false;
  bool restored_ = false;       // and not active since
  bool status_untold_ = false;  // changed while not active

  // While active.
  bool active_ = false;
  bool broken_ = false;
  Queues queues_;
  uint64_t driver_features_ = 0;
  DeviceHost* host_ = nullptr;
  Queue* control_ = nullptr;
  uint16_t control_index_ = 0;
  DescriptorChain control_chain_;

  SpinPolicy spin_policy_;
  bool spinning_ = false;
  bool spin_hit_ = false;  // since the window was set
  base::MonotonicTime spin_end_{};
};

}  // namespace hearth::virtio::net

#endif  // HEARTH_DEVICES_VIRTIO_NET_NET_DEVICE_H_
