// SPDX-License-Identifier: Apache-2.0
// The way of a request through BlockDevice: from its queue to the engine and back.
#include <climits>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/block/block_device.h"

namespace hearth::virtio::block {
namespace {

// Joining more than this gains nothing and keeps the driver waiting for its first answers.
constexpr uint64_t kMaxMergedBytes = 128 * 1024;
// A Sync engine completes while it takes: the driver need not wait for the end of a long batch.
constexpr uint64_t kPublishBytes = 256 * 1024;

uint64_t Nanoseconds(base::MonotonicTime time) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

absl::string_view Describe(uint32_t type) {
  switch (type) {
    case kTypeIn:
      return "a read";
    case kTypeOut:
      return "a write";
    case kTypeFlush:
      return "a flush";
    case kTypeDiscard:
      return "a discard";
    default:
      return "writing zeroes";
  }
}

}  // namespace

BlockDevice::Take BlockDevice::TakeRequests() {
  // Bounded, so that a driver that is as fast as the device does not hold the thread.
  uint32_t budget = kMaxInFlight;
  Take took = Take::kEmpty;
  for (size_t i = 0; i < queues_.size() && took == Take::kEmpty; ++i) {
    const std::unique_ptr<Queue>& queue = queues_[(first_queue_ + i) % queues_.size()];
    if (queue != nullptr) took = TakeFrom(queue.get(), &budget);
  }
  StartBatch();
  // Who comes first when there is not enough for all.
  if (took != Take::kEmpty) first_queue_ = (first_queue_ + 1) % queues_.size();
  return took;
}

BlockDevice::Take BlockDevice::TakeFrom(Queue* queue, uint32_t* budget) {
  for (;; --*budget) {
    if (!accepting()) return Take::kBlocked;
    if (*budget == 0) return Take::kMore;
    if (in_flight_ == kMaxInFlight) {
      // The batch that is being gathered may be all there is.
      StartBatch();
      if (in_flight_ == kMaxInFlight) {
        counters_.io_engine_throttled_events.Add();
        return Take::kBlocked;
      }
    }
    if (free_ == nullptr) {
      requests_.push_back(std::make_unique<Request>(static_cast<Io::Owner*>(this)));
      free_ = requests_.back().get();
    }
    Request* const request = free_;
    switch (queue->Pop(&request->chain)) {
      case Queue::PopResult::kEmpty:
        return Take::kEmpty;
      case Queue::PopResult::kFault:
        broken_ = true;
        host_->NeedsReset(queue->fault());
        return Take::kBlocked;
      case Queue::PopResult::kChain:
        break;
    }
    Request* const next_free = request->next;
    RequestStatus status = RequestStatus::kOk;
    if (!request->Parse(limits_, &status)) {
      request->next = next_free;
      queue->Unpop(&request->chain);
      broken_ = true;
      counters_.invalid_reqs_count.Add();
      host_->NeedsReset("a request has no room for its status");
      return Take::kBlocked;
    }
    if (!Admit(*request)) {
      request->next = next_free;
      queue->Unpop(&request->chain);
      return Take::kBlocked;
    }
    free_ = next_free;
    request->queue = queue->index();
    request->started = now_;
    ++in_flight_;
    if (status != RequestStatus::kOk) {
      counters_.invalid_reqs_count.Add();
      Complete(request, status);
    } else {
      Begin(request);
    }
  }
}

// Does the rate limit let it pass now? If not, a timer is set.
bool BlockDevice::Admit(const Request& request) {
  if (limiter_.unlimited()) return true;
  uint64_t bytes = request.is_transfer() ? request.data_bytes : 0;
  if (request.type == kTypeWriteZeroes && file_->zeroes_by_writing()) {
    for (const RangeSegment& segment : request.segments) {
      if ((segment.flags & kRangeFlagUnmap) == 0)
        bytes += uint64_t{segment.sector_count} * kSectorBytes;
    }
  }
  if (limiter_.Consume(bytes, 1, now_)) return true;
  counters_.rate_limiter_throttled_events.Add();
  throttled_ = true;
  const std::chrono::nanoseconds wait = limiter_.TimeUntil(bytes, 1, now_);
  limiter_timer_.Set(wait < base::MonotonicTime::max() - now_ ? now_ + wait
                                                              : base::MonotonicTime::max());
  return false;
}

void BlockDevice::Begin(Request* request) {
  switch (request->type) {
    case kTypeIn:
    case kTypeOut:
      return AddToBatch(request);
    case kTypeGetId:
      request->FillId(options_.serial.empty() ? file_->device_id() : options_.serial);
      return Complete(request, RequestStatus::kOk);
    case kTypeFlush:
      // Whatever the driver has seen completed is with the kernel, so fdatasync(2) covers it.
      if (options_.unsafe || options_.read_only) return Complete(request, RequestStatus::kOk);
      request->SetFlush(file_.get());
      return engine_->Start(request, false);
    default:
      return StartSegment(request);
  }
}

void BlockDevice::AddToBatch(Request* request) {
  const auto fits = [&] {
    return batch_last_->type == request->type && batch_last_->end() == request->offset &&
           batch_bytes_ + request->data_bytes <= kMaxMergedBytes &&
           batch_vectors_ + request->data.size() <= IOV_MAX;
  };
  if (batch_first_ != nullptr && !fits()) StartBatch();
  if (batch_first_ == nullptr) {
    batch_first_ = request;
    batch_bytes_ = batch_vectors_ = 0;
  } else {
    batch_last_->next = request;
  }
  batch_last_ = request;
  batch_bytes_ += request->data_bytes;
  batch_vectors_ += request->data.size();
}

void BlockDevice::StartBatch() {
  Request* const first = std::exchange(batch_first_, nullptr);
  if (first == nullptr) return;
  if (first->next != nullptr) {
    first->merged.clear();
    for (const Request* r = first; r != nullptr; r = r->next) {
      first->merged.insert(first->merged.end(), r->data.begin(), r->data.end());
      counters_.merged_count.Add();
    }
  }
  StartTransfer(first, batch_bytes_, in_flight_ == 1);
}

void BlockDevice::StartTransfer(Request* first, uint64_t bytes, bool alone) {
  const Io::Kind kind = first->type == kTypeIn ? Io::Kind::kRead : Io::Kind::kWrite;
  first->SetTransfer(kind, file_.get(), first->next != nullptr ? first->merged : first->data,
                     first->offset, bytes);
  engine_->Start(first, alone);
}

void BlockDevice::StartSegment(Request* request) {
  if (request->next_segment == request->segments.size()) return Finish(request);
  const RangeSegment& segment = request->segments[request->next_segment++];
  const bool is_discard = request->type == kTypeDiscard;
  request->SetRange(is_discard ? Io::Kind::kDiscard : Io::Kind::kZero, file_.get(),
                    segment.sector * kSectorBytes, uint64_t{segment.sector_count} * kSectorBytes,
                    (segment.flags & kRangeFlagUnmap) != 0);
  engine_->Start(request, false);
}

// --- And back.

void BlockDevice::OnIoDone(Io* io) {
  if (io == replace_flush_.get()) return OnReplaceFlushed();
  auto* const request = static_cast<Request*>(io);
  if (request->error() != 0) return OnFailed(request);
  const bool is_range = request->type == kTypeDiscard || request->type == kTypeWriteZeroes;
  if (is_range && !request->syncing) return StartSegment(request);
  Finish(request);
}

void BlockDevice::OnFailed(Request* first) {
  if (first->next == nullptr || first->syncing) {
    LogFailure(*first);
    for (Request* r = first; r != nullptr;) {
      Request* const next = std::exchange(r->next, nullptr);
      counters_.execute_fails.Add();
      Complete(r, RequestStatus::kIoError);
      r = next;
    }
    return;
  }
  // Each alone, so that one bad sector fails one request.
  for (Request* r = first; r != nullptr;) {
    Request* const next = std::exchange(r->next, nullptr);
    StartTransfer(r, r->data_bytes, false);
    r = next;
  }
}

// The I/O is done, and for a driver that has no FLUSH it has to last, too.
void BlockDevice::Finish(Request* first) {
  const bool writes = first->type == kTypeOut || first->type == kTypeWriteZeroes;
  if (writes && write_through_ && !first->syncing) {
    first->syncing = true;
    first->SetFlush(file_.get());
    return engine_->Start(first, false);
  }
  for (Request* r = first; r != nullptr;) {
    Request* const next = std::exchange(r->next, nullptr);
    Count(*r);
    Complete(r, RequestStatus::kOk);
    r = next;
  }
}

void BlockDevice::Complete(Request* request, RequestStatus status) {
  request->Answer(status);
  // Data of a read that failed may be there in part, and the status byte is the last one.
  queues_[request->queue]->Complete(&request->chain, request->chain.writable_bytes());
  unpublished_bytes_ += request->data_bytes;
  request->next = free_;
  free_ = request;
  --in_flight_;
  if (!working_) {
    // Publishes once for all completions of this turn, and takes what the driver has sent
    // meanwhile.
    turn_task_.Schedule();
  } else if (unpublished_bytes_ >= kPublishBytes) {
    Publish();
  }
}

void BlockDevice::Count(const Request& request) {
  Counters& c = counters_;
  const auto ranges = [&request] {
    uint64_t bytes = 0;
    for (const RangeSegment& s : request.segments) bytes += uint64_t{s.sector_count} * kSectorBytes;
    return bytes;
  };
  switch (request.type) {
    case kTypeIn:
      c.read_count.Add();
      c.read_bytes.Add(request.data_bytes);
      ++unpublished_reads_.count;
      unpublished_reads_.started_ns += Nanoseconds(request.started);
      break;
    case kTypeOut:
      c.write_count.Add();
      c.write_bytes.Add(request.data_bytes);
      ++unpublished_writes_.count;
      unpublished_writes_.started_ns += Nanoseconds(request.started);
      break;
    case kTypeFlush:
      c.flush_count.Add();
      break;
    case kTypeDiscard:
      c.discard_count.Add();
      c.discard_bytes.Add(ranges());
      break;
    case kTypeWriteZeroes:
      c.write_zeroes_count.Add();
      c.write_zeroes_bytes.Add(ranges());
      break;
    default:
      break;
  }
}

void BlockDevice::Publish() {
  bool any = false;
  for (const std::unique_ptr<Queue>& queue : queues_) {
    if (queue == nullptr || !queue->has_unpublished()) continue;
    queue->Publish();
    any = true;
  }
  if (!any) return;
  now_ = Now();
  spin_.OnAnswer();
  const auto settle = [now = now_](Unpublished* unpublished, base::Counter* sum_ns) {
    sum_ns->Add(unpublished->count * Nanoseconds(now) - unpublished->started_ns);
    *unpublished = {};
  };
  settle(&unpublished_reads_, &counters_.read_sum_ns);
  settle(&unpublished_writes_, &counters_.write_sum_ns);
  unpublished_bytes_ = 0;
}

void BlockDevice::LogFailure(const Request& request) {
  const uint64_t fails = counters_.execute_fails.value() + 1;
  // The 1st, 2nd, 4th, 8th, ...: a broken disk does not fill the log.
  if ((fails & (fails - 1)) != 0) return;
  HEARTH_LOG(
      kError, options_.path, ": ",
      base::ErrnoStatus(Describe(request.type), "of the backing file", request.error()).message(),
      " (failure ", fails, ")");
}

}  // namespace hearth::virtio::block
