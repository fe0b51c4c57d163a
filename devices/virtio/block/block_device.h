// SPDX-License-Identifier: Apache-2.0
// BlockDevice: the virtio block device over one backing file.
//
// Requests are taken as many as there are, checked, joined where they are adjacent, and started;
// completions are made visible once a turn. Nothing waits: a request over the rate limit is given
// back to its queue until a timer says that its time has come, and the other drives go on.
//
// Between requests that come in quick succession the device looks at its queues itself, with
// notifications off (SpinPolicy); a slow or idle driver costs nothing.
// Source: virtio 1.2, "Block Device".
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_BLOCK_DEVICE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_BLOCK_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/rate_limiter.h"
#include "devices/virtio/block/backing_file.h"
#include "devices/virtio/block/engine.h"
#include "devices/virtio/block/request.h"
#include "devices/virtio/block/spin_policy.h"
#include "devices/virtio/core/device.h"

namespace hearth::virtio::block {

struct BlockOptions {
  // Names the device in the log: "drives/rootfs".
  std::string path;
  bool read_only = false;
  // FLUSH is not offered, and nothing is ever flushed.
  bool unsafe = false;
  // "" for the backing file's own id.
  std::string serial;
  uint16_t queues = 1;
  uint16_t queue_size = 256;
  base::RateLimiter::Options rate_limit;
};

class BlockDevice final : public Device, private Io::Owner, private base::EventLoop::Poller {
 public:
  // How many requests are taken from the queues at once; the others stay there.
  static constexpr uint32_t kMaxInFlight = 128;

  // `file` was opened as `options` say. Main thread.
  BlockDevice(BlockOptions options, std::unique_ptr<BackingFile> file,
              std::unique_ptr<Engine> engine, const DeviceContext& context);
  ~BlockDevice() override;

  // --- Any thread.
  uint32_t virtio_id() const override { return kVirtioId; }
  uint64_t features() const override { return features_; }
  absl::Span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
  ConfigSpace& config_space() override { return config_; }
  void VisitMetrics(base::MetricVisitor visitor) const override;

  // --- Device thread.
  void Activate(Activation activation) override;
  void OnNotify(uint16_t queue) override;
  void OnConfigWrite() override;
  void Deactivate(absl::AnyInvocable<void(Queues)> done) override;
  void Reset() override;
  std::string Save() override;
  absl::Status Restore(absl::string_view state) override;

  // A PATCH of the rate limit. Active or not.
  void ChangeLimiter(absl::FunctionRef<void(base::RateLimiter& limiter)> change);
  // A PATCH: finishes what is in flight, flushes the old file, goes over to the new one and tells
  // the driver its size. `done` gets the old file, to be closed by another thread: at once, or from
  // a later event. One at a time. The new file's block size must divide the old one's
  // (CheckReplacement). Active or not.
  using ReplaceDone = absl::AnyInvocable<void(std::unique_ptr<BackingFile> old)>;
  void ReplaceFile(std::unique_ptr<BackingFile> file, ReplaceDone done);
  absl::Status CheckReplacement(const BackingFile& file) const;

 private:
  struct Counters {
    base::Counter read_bytes, read_count, read_sum_ns;
    base::Counter write_bytes, write_count, write_sum_ns;
    base::Counter flush_count, discard_count, discard_bytes;
    base::Counter write_zeroes_count, write_zeroes_bytes;
    base::Counter merged_count, execute_fails, invalid_reqs_count;
    base::Counter queue_event_count, spin_hits, spin_misses;
    base::Counter rate_limiter_throttled_events, rate_limiter_event_count;
    base::Counter io_engine_throttled_events, update_count;
  };
  // What a look at the queues came to.
  enum class Take { kEmpty, kMore, kBlocked };

  // --- When to look at the queues (block_device.cc).
  void Work();
  bool accepting() const { return active_ && !broken_ && !throttled_ && !done_ && !replacement_; }
  bool AnyAvailable() const;
  bool EnableNotifications();
  void DisableNotifications();
  void StartSpinning();
  void StopSpinning();
  bool Poll() override;
  void OnLimiter();
  void OnIdle();
  void OnReplaceFlushed();
  void ShowFile();
  void UpdateMode();
  static base::MonotonicTime Now() { return std::chrono::steady_clock::now(); }

  // --- From the rings to the engine and back (block_requests.cc).
  Take TakeRequests();
  Take TakeFrom(Queue* queue, uint32_t* budget);
  bool Admit(const Request& request);
  void Begin(Request* request);
  void AddToBatch(Request* request);
  void StartBatch();
  void StartTransfer(Request* first, uint64_t bytes, bool alone);
  void StartSegment(Request* request);
  void OnIoDone(Io* io) override;
  void OnFailed(Request* first);
  void Finish(Request* first);
  void Complete(Request* request, RequestStatus status);
  void Count(const Request& request);
  void LogFailure(const Request& request);
  void Publish();

  const BlockOptions options_;
  const DeviceContext context_;
  std::unique_ptr<BackingFile> file_;
  const std::unique_ptr<Engine> engine_;
  const uint32_t block_size_;  // what the driver was told
  const uint64_t features_;
  const std::vector<uint16_t> queue_sizes_;
  ConfigSpace config_;
  Counters counters_;

  // While active.
  bool active_ = false;
  bool broken_ = false;
  Queues queues_;
  DeviceHost* host_ = nullptr;
  uint64_t driver_features_ = 0;
  RequestLimits limits_;
  bool write_through_ = false;  // a write is done when it is on the disk
  absl::AnyInvocable<void(Queues)> done_;

  // Requests: all there are, those to use, and those under way.
  std::vector<std::unique_ptr<Request>> requests_;
  Request* free_ = nullptr;
  uint32_t in_flight_ = 0;
  // The transfer that may still grow: its first and last request.
  Request* batch_first_ = nullptr;
  Request* batch_last_ = nullptr;
  uint64_t batch_bytes_ = 0;
  size_t batch_vectors_ = 0;
  size_t first_queue_ = 0;  // whose turn it is

  base::TurnTask turn_task_;
  base::RateLimiter limiter_;
  base::Timer limiter_timer_;
  bool throttled_ = false;
  SpinPolicy spin_;
  bool spinning_ = false;
  base::MonotonicTime spin_end_;
  base::MonotonicTime now_;  // of this piece of work
  bool working_ = false;     // in Work(), which publishes
  uint64_t unpublished_bytes_ = 0;

  // Completed but not published: how many, and the sum of their start times (modulo 2^64).
  struct Unpublished {
    uint64_t count = 0;
    uint64_t started_ns = 0;
  } unpublished_reads_, unpublished_writes_;

  std::unique_ptr<BackingFile> replacement_;
  ReplaceDone replace_done_;
  std::unique_ptr<Io> replace_flush_;
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_BLOCK_DEVICE_H_
