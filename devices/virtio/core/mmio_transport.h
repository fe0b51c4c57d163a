// SPDX-License-Identifier: Apache-2.0
// MmioTransport: a slot of the machine: the registers of a virtio-mmio device (version 2), its
// queues' configuration, and the device itself.
//
// The register page is the driver's, on vCPU threads. Queue notifications do not come here: KVM
// turns them into eventfds (notify_fd) that the device's loop watches, edge-triggered and never
// read; where there is no ioeventfd the write signals the eventfd itself. Activation is posted to
// the device's thread; a reset waits for it, so that a driver that has written 0 to Status can take
// its memory back. Registers have one lock; InterruptStatus and InterruptACK take none.
// Source: virtio 1.2, "Virtio Over MMIO", "MMIO Device Register Layout", "Device Status Field",
// "Driver Requirements: Device Initialization".
#ifndef HEARTH_DEVICES_VIRTIO_CORE_MMIO_TRANSPORT_H_
#define HEARTH_DEVICES_VIRTIO_CORE_MMIO_TRANSPORT_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/rate_limiter.h"
#include "base/unique_fd.h"
#include "devices/bus/bus.h"
#include "devices/virtio/core/device.h"
#include "devices/virtio/core/device_state.pb.h"
#include "devices/virtio/core/interrupt.h"

namespace hearth::virtio {

class MmioTransport final : public BusDevice, private DeviceHost {
 public:
  static constexpr uint64_t kSizeBytes = 0x1000;
  // Of the QueueNotify register, for KVM_IOEVENTFD: a 4-byte write of the queue's index.
  static constexpr uint64_t kQueueNotifyOffset = 0x50;

  // `path` names the device in logs and errors ("drives/rootfs"). `context` is what the device was
  // created with. Main thread. Fails when the process is out of file descriptors.
  static absl::StatusOr<std::unique_ptr<MmioTransport>> Create(std::string path,
                                                               std::unique_ptr<Device> device,
                                                               const DeviceContext& context);
  // The device's loop has ended, or Shutdown() was called.
  ~MmioTransport() override;

  // --- vCPU threads.
  absl::string_view name() const override { return path_; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override ABSL_LOCKS_EXCLUDED(mutex_);

  // --- Main thread. The loop runs.
  const IrqLine& irq_line() const { return interrupt_.line(); }
  size_t queue_count() const { return notify_fds_.size(); }
  int notify_fd(size_t queue) const { return notify_fds_[queue].get(); }
  Device& device() { return *device_; }
  // Takes the queues back from an active device; returns when nothing is in flight. vCPUs are
  // paused.
  void Pause() ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() ABSL_LOCKS_EXCLUDED(mutex_);
  // Paused (or never active) only.
  DeviceState Save() ABSL_LOCKS_EXCLUDED(mutex_);
  // Into a transport that no guest has touched; then Resume(). `state` is hostile; after an error
  // the transport is to be destroyed.
  absl::Status Restore(const DeviceState& state) ABSL_LOCKS_EXCLUDED(mutex_);
  // Deactivates the device for good; vCPUs have ended.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);
  // How often the guest broke the rules, and the device's own.
  void VisitMetrics(base::MetricVisitor visitor) const;

 private:
  MmioTransport(std::string path, std::unique_ptr<Device> device, const DeviceContext& context,
                IrqLine line, std::vector<base::UniqueFd> notify_fds);

  // DeviceHost, device thread.
  void NeedsReset(absl::string_view why) override;
  void ConfigChanged() override;

  void WriteConfig(uint64_t offset, absl::Span<const uint8_t> data) ABSL_LOCKS_EXCLUDED(mutex_);
  void NotifyQueue(uint32_t queue);
  uint32_t ReadRegister(uint64_t offset) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteRegister(uint64_t offset, uint32_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteDriverFeatures(uint32_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteQueueReady(uint32_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteStatus(uint32_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckDriverFeatures(uint64_t features) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t offered_features() const { return device_->features() | kTransportFeatures; }
  // The selected queue if the driver may set it up now; otherwise nullptr.
  QueueConfig* settable_queue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Makes the queues and posts the activation, if it is time for it.
  void Activate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits until the device, if it is active, has given the queues back.
  void Deactivate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResetAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResetQueues() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Device thread.
  void ActivateOnLoop(Queues queues, uint64_t features);
  void StopWatching();

  // Runs `work` on the device's thread and waits.
  void CallDevice(absl::FunctionRef<void(Device&)> work);

  const std::string path_;
  const std::unique_ptr<Device> device_;
  const DeviceContext context_;
  Interrupt interrupt_;
  std::vector<base::UniqueFd> notify_fds_;
  // ORed into Status; the device thread sets it without the lock, which a reset may hold while it
  // waits for that thread.
  std::atomic<bool> needs_reset_{false};
  // OnConfigWrite() is on its way: a driver that writes without end fills no queue of tasks.
  std::atomic<bool> config_write_posted_{false};
  base::Counter guest_faults_;

  // Device thread.
  std::optional<base::TokenBucket> fault_log_limit_;
  bool active_on_loop_ = false;
  std::vector<int> watched_fds_;

  mutable absl::Mutex mutex_;
  uint32_t status_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t driver_features_ ABSL_GUARDED_BY(mutex_) = 0;
  // The driver wants bits beyond the 64 that exist.
  bool driver_features_beyond_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t device_features_sel_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t driver_features_sel_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t queue_sel_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<QueueConfig> queues_ ABSL_GUARDED_BY(mutex_);
  // The queues are with the device, or on their way there.
  bool active_ ABSL_GUARDED_BY(mutex_) = false;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  // Nothing to forget: no reset is needed.
  bool pristine_ ABSL_GUARDED_BY(mutex_) = true;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_MMIO_TRANSPORT_H_
