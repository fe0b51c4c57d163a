// SPDX-License-Identifier: Apache-2.0
// The device's life and its waiting; block_requests.cc has the way of a request.
#include "devices/virtio/block/block_device.h"

#include <bit>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/block/block_state.pb.h"

namespace hearth::virtio::block {
namespace {

// A look at the queues may be repeated at once when the driver was quicker, but then the loop's
// other devices get their turn.
constexpr int kMaxRounds = 2;

uint64_t Offer(const BlockOptions& options) {
  uint64_t features = kFeatureSegMax | kFeatureBlkSize | kFeatureTopology;
  if (options.queues > 1) features |= kFeatureMq;
  if (options.read_only) return features | kFeatureReadOnly;
  features |= kFeatureDiscard | kFeatureWriteZeroes;
  if (!options.unsafe) features |= kFeatureFlush | kFeatureConfigWce;
  return features;
}

}  // namespace

BlockDevice::BlockDevice(BlockOptions options, std::unique_ptr<BackingFile> file,
                         std::unique_ptr<Engine> engine, const DeviceContext& context)
    : options_(std::move(options)),
      context_(context),
      file_(std::move(file)),
      engine_(std::move(engine)),
      block_size_(file_->block_size()),
      features_(Offer(options_)),
      queue_sizes_(options_.queues, options_.queue_size),
      config_(kConfigSize),
      turn_task_(context.loop, [this] { Work(); }),
      limiter_(options_.rate_limit, std::chrono::steady_clock::now()),
      limiter_timer_(context.loop, [this] { OnLimiter(); }) {
  const uint32_t physical_blocks = file_->physical_block_size() / block_size_;
  config_.Store<uint64_t>(kConfigCapacity, file_->capacity_sectors());
  // A chain is at most as long as its queue, and has header and status.
  config_.Store<uint32_t>(kConfigSegMax, options_.queue_size - 2);
  config_.Store<uint32_t>(kConfigBlkSize, block_size_);
  config_.Store<uint8_t>(kConfigPhysicalBlockExp, std::countr_zero(physical_blocks));
  config_.Store<uint16_t>(kConfigMinIoSize, physical_blocks);
  config_.Store<uint16_t>(kConfigNumQueues, options_.queues);
  if ((features_ & kFeatureDiscard) != 0) {
    config_.Store<uint32_t>(kConfigMaxDiscardSectors, kMaxRangeSectors);
    config_.Store<uint32_t>(kConfigMaxDiscardSeg, kMaxSegments);
    // What is smaller frees nothing on the host.
    config_.Store<uint32_t>(kConfigDiscardSectorAlignment,
                            file_->physical_block_size() / kSectorBytes);
    config_.Store<uint32_t>(kConfigMaxWriteZeroesSectors, kMaxRangeSectors);
    config_.Store<uint32_t>(kConfigMaxWriteZeroesSeg, kMaxSegments);
    config_.Store<uint8_t>(kConfigWriteZeroesMayUnmap, 1);
  }
  if ((features_ & kFeatureConfigWce) != 0) {
    config_.Store<uint8_t>(kConfigWriteback, 1);
    config_.AllowDriverWrite(kConfigWriteback, 1);
  }
}

BlockDevice::~BlockDevice() {
  HEARTH_CHECK(in_flight_ == 0);
  StopSpinning();
}

void BlockDevice::Activate(Activation activation) {
  HEARTH_CHECK(!active_);
  queues_ = std::move(activation.queues);
  driver_features_ = activation.features;
  host_ = activation.host;
  active_ = true;
  broken_ = false;
  // Without FLUSH the driver has no way to ask for it, so nothing may be cached.
  if ((driver_features_ & kFeatureConfigWce) != 0 && (driver_features_ & kFeatureFlush) == 0) {
    config_.Store<uint8_t>(kConfigWriteback, 0);
  }
  UpdateMode();
  // After a restore the file need not be as it was when the guest last looked.
  ShowFile();
  turn_task_.Schedule();
}

void BlockDevice::Deactivate(absl::AnyInvocable<void(Queues)> done) {
  HEARTH_CHECK(active_ && !done_);
  done_ = std::move(done);
  StopSpinning();
  limiter_timer_.Cancel();
  throttled_ = false;
  if (in_flight_ == 0) OnIdle();
}

void BlockDevice::Reset() {
  HEARTH_CHECK(!active_);
  if ((features_ & kFeatureConfigWce) != 0) config_.Store<uint8_t>(kConfigWriteback, 1);
  spin_ = SpinPolicy();
}

void BlockDevice::OnConfigWrite() { UpdateMode(); }

void BlockDevice::UpdateMode() {
  const bool flush = (driver_features_ & kFeatureFlush) != 0;
  const bool off =
      (driver_features_ & kFeatureConfigWce) != 0 && config_.Load<uint8_t>(kConfigWriteback) == 0;
  write_through_ = !options_.unsafe && !options_.read_only && (!flush || off);
  limits_ = {.capacity_sectors = file_->capacity_sectors(),
             .block_size = block_size_,
             .read_only = options_.read_only,
             .discard = (driver_features_ & kFeatureDiscard) != 0,
             .write_zeroes = (driver_features_ & kFeatureWriteZeroes) != 0};
}

// Tells the driver how big the file is, if it believes otherwise.
void BlockDevice::ShowFile() {
  const uint64_t capacity = file_->capacity_sectors();
  if (config_.Load<uint64_t>(kConfigCapacity) == capacity) return;
  config_.Store<uint64_t>(kConfigCapacity, capacity);
  if (active_) host_->ConfigChanged();
}

// --- When to look at the queues.

void BlockDevice::OnNotify(uint16_t) {
  counters_.queue_event_count.Add();
  if (accepting() && !spinning_ && AnyAvailable()) Work();
}

void BlockDevice::Work() {
  if (!active_) return;
  now_ = Now();
  working_ = true;
  Take took = Take::kEmpty;
  bool rest = false;
  for (int round = 0; round < kMaxRounds && !rest; ++round) {
    DisableNotifications();
    took = TakeRequests();
    Publish();
    if (took != Take::kEmpty) break;
    if (spin_.worth_it()) break;
    rest = !EnableNotifications();
  }
  working_ = false;
  if (took == Take::kBlocked) {
    // Whatever ends that calls Work() again: a completion, the timer, the new file. After a fault
    // it is a reset.
    StopSpinning();
    if (in_flight_ == 0) OnIdle();
  } else if (rest) {
    StopSpinning();
  } else {
    StartSpinning();
  }
}

bool BlockDevice::AnyAvailable() const {
  for (const std::unique_ptr<Queue>& queue : queues_) {
    if (queue != nullptr && queue->HasAvailable()) return true;
  }
  return false;
}

void BlockDevice::DisableNotifications() {
  for (const std::unique_ptr<Queue>& queue : queues_) {
    if (queue != nullptr) queue->DisableNotify();
  }
}

// True: there are requests that nobody will announce.
bool BlockDevice::EnableNotifications() {
  bool more = false;
  for (const std::unique_ptr<Queue>& queue : queues_) {
    if (queue != nullptr && queue->EnableNotify()) more = true;
  }
  return more;
}

void BlockDevice::StartSpinning() {
  spin_end_ = now_ + spin_.look();
  // Its end is found by Poll(), which has to turn notifications on then.
  if (!spinning_) context_.loop->SpinUntil(this, base::MonotonicTime::max());
  spinning_ = true;
}

void BlockDevice::StopSpinning() {
  if (spinning_) context_.loop->StopSpinning(this);
  spinning_ = false;
}

bool BlockDevice::Poll() {
  if (AnyAvailable()) {
    spin_.OnHit();
    counters_.spin_hits.Add();
    Work();
    return true;
  }
  if (Now() < spin_end_) return false;
  // While requests are under way it is the driver that waits; their answers begin a new look.
  if (in_flight_ == 0) {
    spin_.OnMiss();
    counters_.spin_misses.Add();
  }
  StopSpinning();
  if (EnableNotifications()) Work();
  return false;
}

void BlockDevice::OnLimiter() {
  counters_.rate_limiter_event_count.Add();
  throttled_ = false;
  Work();
}

void BlockDevice::ChangeLimiter(absl::FunctionRef<void(base::RateLimiter& limiter)> change) {
  change(limiter_);
  limiter_timer_.Cancel();
  throttled_ = false;
  Work();
}

// Nothing is in flight: what has waited for that.
void BlockDevice::OnIdle() {
  if (replacement_ != nullptr && replace_flush_ == nullptr) {
    // What the driver was told is written is still to be flushed when it asks for that, and then
    // the old file is out of reach.
    replace_flush_ = std::make_unique<Io>(static_cast<Io::Owner*>(this));
    replace_flush_->SetFlush(file_.get());
    if (!options_.unsafe && !options_.read_only) return engine_->Start(replace_flush_.get(), false);
    return OnReplaceFlushed();
  }
  if (replacement_ != nullptr || !done_) return;
  Publish();
  active_ = false;
  host_ = nullptr;
  // The callee may activate the device again.
  std::exchange(done_, nullptr)(std::move(queues_));
}

void BlockDevice::ReplaceFile(std::unique_ptr<BackingFile> file, ReplaceDone done) {
  HEARTH_CHECK(replacement_ == nullptr && CheckReplacement(*file).ok());
  counters_.update_count.Add();
  replacement_ = std::move(file);
  replace_done_ = std::move(done);
  StopSpinning();
  if (in_flight_ == 0) OnIdle();
}

void BlockDevice::OnReplaceFlushed() {
  if (const int error = replace_flush_->error(); error != 0) {
    HEARTH_LOG(kError, options_.path, ": ",
               base::ErrnoStatus("fdatasync", "of the old file", error).message());
  }
  replace_flush_.reset();
  std::swap(file_, replacement_);
  UpdateMode();
  ShowFile();
  ReplaceDone done = std::move(replace_done_);
  done(std::move(replacement_));
  if (done_) return OnIdle();
  Work();
}

absl::Status BlockDevice::CheckReplacement(const BackingFile& file) const {
  if (block_size_ % file.block_size() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the file wants blocks of ", file.block_size(),
                                                 " bytes, and the guest was told ", block_size_,
                                                 " at the start"));
}

// --- State and metrics.

std::string BlockDevice::Save() {
  BlockState state;
  const base::MonotonicTime now = Now();
  const auto save = [now](std::optional<base::TokenBucket>& bucket, BucketState* to) {
    const base::TokenBucket::State saved = bucket->Save(now);
    to->set_budget(saved.budget);
    to->set_one_time_burst(saved.one_time_burst);
  };
  if (limiter_.bandwidth()) save(limiter_.bandwidth(), state.mutable_bandwidth());
  if (limiter_.ops()) save(limiter_.ops(), state.mutable_ops());
  return state.SerializeAsString();
}

absl::Status BlockDevice::Restore(absl::string_view bytes) {
  BlockState state;
  if (!state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("the block device's state is not a BlockState");
  }
  const base::MonotonicTime now = Now();
  const auto restore = [now](const BucketState& from, std::optional<base::TokenBucket>& bucket) {
    if (bucket) bucket->Restore({from.budget(), from.one_time_burst()}, now);
  };
  if (state.has_bandwidth()) restore(state.bandwidth(), limiter_.bandwidth());
  if (state.has_ops()) restore(state.ops(), limiter_.ops());
  return absl::OkStatus();
}

void BlockDevice::VisitMetrics(base::MetricVisitor visitor) const {
  const Counters& c = counters_;
  visitor("read_bytes", c.read_bytes.value());
  visitor("read_count", c.read_count.value());
  visitor("read_sum_us", c.read_sum_ns.value() / 1000);
  visitor("write_bytes", c.write_bytes.value());
  visitor("write_count", c.write_count.value());
  visitor("write_sum_us", c.write_sum_ns.value() / 1000);
  visitor("flush_count", c.flush_count.value());
  visitor("discard_count", c.discard_count.value());
  visitor("discard_bytes", c.discard_bytes.value());
  visitor("write_zeroes_count", c.write_zeroes_count.value());
  visitor("write_zeroes_bytes", c.write_zeroes_bytes.value());
  visitor("merged_count", c.merged_count.value());
  visitor("execute_fails", c.execute_fails.value());
  visitor("invalid_reqs_count", c.invalid_reqs_count.value());
  visitor("queue_event_count", c.queue_event_count.value());
  visitor("rate_limiter_event_count", c.rate_limiter_event_count.value());
  visitor("rate_limiter_throttled_events", c.rate_limiter_throttled_events.value());
  visitor("io_engine_throttled_events", c.io_engine_throttled_events.value());
  visitor("update_count", c.update_count.value());
  visitor("spin_hits", c.spin_hits.value());
  visitor("spin_misses", c.spin_misses.value());
}

}  // namespace hearth::virtio::block
