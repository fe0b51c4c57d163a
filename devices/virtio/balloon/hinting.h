// SPDX-License-Identifier: Apache-2.0
// Hinting: whose turn it is in free page hinting: the commands of the host and of the guest.
//
// A run has a number of its own. The host shows it in the configuration space, the guest repeats it
// in the queue before its hints and sends STOP behind them. Hints count only while both name the
// same run, so what is left in the queue of an older one is dropped. Source: virtio 1.2, "Free Page
// Hinting". The device's thread.
#ifndef HEARTH_DEVICES_VIRTIO_BALLOON_HINTING_H_
#define HEARTH_DEVICES_VIRTIO_BALLOON_HINTING_H_

#include <cstdint>
#include <optional>

namespace hearth::virtio::balloon {

class Hinting {
 public:
  static constexpr uint32_t kStop = 0;  // VIRTIO_BALLOON_CMD_ID_STOP
  static constexpr uint32_t kDone = 1;  // VIRTIO_BALLOON_CMD_ID_DONE

  uint32_t host_command() const { return host_; }
  std::optional<uint32_t> guest_command() const { return guest_; }

  // A new run; its number was never used before (but for one in 2^32 runs).
  void Start(bool acknowledge_on_stop) {
    last_ = last_ < kDone || last_ == UINT32_MAX ? kDone + 1 : last_ + 1;
    host_ = last_;
    acknowledge_on_stop_ = acknowledge_on_stop;
  }
  // The guest may use its hinted pages again.
  void Finish() { host_ = kDone; }
  // True if the guest has now hinted all that it had for the current run, and wants to hear kDone.
  [[nodiscard]] bool OnGuestCommand(uint32_t command) {
    const bool ends_run = command <= kDone && HintsCount();
    guest_ = command;
    return ends_run && acknowledge_on_stop_;
  }
  // Is a hint that comes now one of the current run?
  bool HintsCount() const { return host_ > kDone && guest_ == host_; }

  // The driver is gone. Numbers are not used twice even so.
  void Reset() {
    host_ = kStop;
    guest_.reset();
  }

  uint32_t last_command() const { return last_; }
  bool acknowledge_on_stop() const { return acknowledge_on_stop_; }
  // False, and as before, where `host` was never given out.
  [[nodiscard]] bool Restore(uint32_t host, std::optional<uint32_t> guest, uint32_t last,
                             bool acknowledge_on_stop) {
    if (last == kDone || (host > kDone && host != last)) return false;
    host_ = host;
    guest_ = guest;
    last_ = last;
    acknowledge_on_stop_ = acknowledge_on_stop;
    return true;
  }

 private:
  uint32_t host_ = kStop;
  std::optional<uint32_t> guest_;
  uint32_t last_ = 0;
  bool acknowledge_on_stop_ = true;
};

}  // namespace hearth::virtio::balloon

#endif  // HEARTH_DEVICES_VIRTIO_BALLOON_HINTING_H_
