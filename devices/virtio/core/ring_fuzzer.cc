// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/core/ring_fuzzer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"

namespace hearth::virtio {
namespace {

constexpr uint64_t kMemoryBytes = 4 << 20;
constexpr GuestAddress kRings(0x10000);
// Buffers and tables lie here, one behind the other and round again: old ones are written over.
constexpr uint64_t kBuffers = 0x100000;
constexpr uint64_t kBuffersEnd = 0x300000;
constexpr uint32_t kMaxBuffer = 0x20000;

// The fuzzer's bytes; zeros when they have run out.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  template <typename T>
  T Take() {
    T value{};
    const size_t bytes = std::min(sizeof(T), size_);
    std::memcpy(&value, data_, bytes);
    data_ += bytes;
    size_ -= bytes;
    return value;
  }
  uint32_t Below(uint32_t limit) { return Take<uint16_t>() % limit; }
  bool OneIn(uint32_t n) { return Take<uint8_t>() % n == 0; }

 private:
  const uint8_t* data_;
  size_t size_;
};

class Session {
 public:
  Session(Sample& sample, const uint8_t* data, size_t size)
      : sample_(sample),
        bytes_(data, size),
        loop_(TestLoop::Mode::kInline),
        requests_(sample.Requests()) {
    memory_ = *GuestMemory::Create({.size_bytes = kMemoryBytes, .track_dirty = bytes_.OneIn(2)});
    if (requests_.empty()) requests_.push_back({});
    MakeTransport();
  }
  ~Session() { transport_->Shutdown(); }

  void Run() {
    Start();
    while (!bytes_.empty()) Step();
  }

 private:
  void Step();
  void MakeTransport();
  void Start();
  QueueFake* AnyQueue();
  void AddRequest(bool indirect);
  std::vector<QueueFake::Part> Split(const Sample::Request& request);
  void CorruptRing();
  void WriteRegister();
  void SaveAndRestore();

  GuestAddress Buffer(uint64_t size) {
    if (next_buffer_ + size > kBuffersEnd) next_buffer_ = kBuffers;
    return GuestAddress(std::exchange(next_buffer_, next_buffer_ + size));
  }
  // Any slice that a number names; the rings and buffers are within.
  GuestSlice At(uint64_t address, uint64_t size) {
    return *memory_->Slice(GuestAddress(address % (kMemoryBytes - size)), size);
  }

  Sample& sample_;
  Bytes bytes_;
  std::unique_ptr<GuestMemory> memory_;
  TestLoop loop_;
  std::vector<Sample::Request> requests_;
  std::unique_ptr<MmioTransport> transport_;
  std::unique_ptr<TransportDriver> driver_;
  uint64_t next_buffer_ = kBuffers;
  bool paused_ = false;
};

void Session::MakeTransport() {
  const DeviceContext context = loop_.Context(memory_.get());
  transport_ = *MmioTransport::Create("fuzzed", sample_.Create(context), context);
}

// As a good driver would, but for some features.
void Session::Start() {
  driver_ = std::make_unique<TransportDriver>(transport_.get(), memory_.get(), kRings);
  const uint64_t unwanted = bytes_.Take<uint64_t>() & ~kFeatureVersion1;
  if (!driver_->Start(~(bytes_.OneIn(2) ? unwanted : 0),
                      static_cast<uint16_t>(1 << bytes_.Below(7))))
    return;
  loop_.Settle();
}

QueueFake* Session::AnyQueue() {
  const uint32_t index = bytes_.Take<uint8_t>();
  return driver_->has_queues() ? &driver_->queue(index % driver_->queue_count()) : nullptr;
}

std::vector<QueueFake::Part> Session::Split(const Sample::Request& request) {
  std::vector<QueueFake::Part> parts;
  const auto add = [&](GuestAddress at, uint32_t size, bool writable) {
    while (size > 0) {
      const uint32_t take = bytes_.OneIn(4) ? 1 + bytes_.Below(size) : size;
      parts.push_back({at, std::min(take, size), writable});
      at = at + parts.back().size;
      size -= parts.back().size;
    }
  };
  std::string readable = request.readable;
  if (bytes_.OneIn(4)) readable.resize(bytes_.Below(kMaxBuffer), '\x5a');
  if (bytes_.OneIn(2) && !readable.empty()) {
    for (uint32_t i = 0; i <= bytes_.Below(4); ++i) {
      readable[bytes_.Below(static_cast<uint32_t>(readable.size()))] = bytes_.Take<char>();
    }
  }
  const uint32_t writable = bytes_.OneIn(4) ? bytes_.Below(kMaxBuffer) : request.writable_bytes;
  if (!readable.empty()) {
    const GuestAddress at = Buffer(readable.size());
    HEARTH_CHECK(memory_->Write("request", at, readable).ok());
    add(at, static_cast<uint32_t>(readable.size()), false);
  }
  add(Buffer(writable), writable, true);
  if (parts.size() > 1 && bytes_.OneIn(16)) std::swap(parts.front(), parts.back());
  return parts;
}

void Session::AddRequest(bool indirect) {
  const Sample::Request& request = requests_[bytes_.Below(static_cast<uint32_t>(requests_.size()))];
  if (!driver_->has_queues()) return;
  const size_t index = bytes_.OneIn(8) ? bytes_.Take<uint8_t>() : request.queue;
  QueueFake& queue = driver_->queue(index % driver_->queue_count());
  const std::vector<QueueFake::Part> parts = Split(request);
  if (indirect) {
    (void)queue.AddIndirect(parts, Buffer(16 * parts.size()));
  } else {
    (void)queue.Add(parts);
  }
}

void Session::CorruptRing() {
  QueueFake* const queue = AnyQueue();
  const auto what = bytes_.Take<uint8_t>();
  if (queue == nullptr) return;
  const GuestSlice slices[] = {queue->descriptors(), queue->avail(), queue->used(),
                               At(next_buffer_ - std::min<uint64_t>(next_buffer_, 256), 256)};
  const GuestSlice& slice = slices[what % 4];
  const uint64_t offset = bytes_.Below(static_cast<uint32_t>(slice.size()));
  switch (what / 4 % 4) {
    case 0:
      (void)slice.Store(offset, bytes_.Take<uint8_t>());
      return;
    case 1:
      (void)slice.Store(offset & ~1ull, bytes_.Take<uint16_t>());
      return;
    case 2:
      (void)slice.Store(offset & ~7ull, bytes_.Take<uint64_t>());
      return;
    default:
      // Flips a bit.
      const uint8_t old = slice.Load<uint8_t>(offset).value_or(0);
      (void)slice.Store(offset, static_cast<uint8_t>(old ^ 1 << bytes_.Take<uint8_t>() % 8));
      return;
  }
}

void Session::WriteRegister() {
  const auto offset = bytes_.Take<uint16_t>();
  const auto value = bytes_.Take<uint32_t>();
  // Mostly words where registers are, sometimes anything anywhere.
  if (!bytes_.OneIn(4)) return driver_->Write(offset % 0x140 & ~3u, value);
  uint8_t data[8];
  std::memcpy(data, &value, sizeof(value));
  std::memcpy(data + 4, &value, sizeof(value));
  const size_t size = size_t{1} << bytes_.Take<uint8_t>() % 4;
  const uint64_t at = offset % (MmioTransport::kSizeBytes - size);
  transport_->Write(at, absl::MakeConstSpan(data, size));
  transport_->Read(at, absl::MakeSpan(data, size));
}

// A new device takes over, with the state as it was or bent; a bent one may be refused.
void Session::SaveAndRestore() {
  transport_->Pause();
  const DeviceState saved = transport_->Save();
  std::string state = saved.SerializeAsString();
  const bool bent = bytes_.OneIn(2) && !state.empty();
  if (bent) {
    for (uint32_t i = 0; i <= bytes_.Below(3); ++i) {
      state[bytes_.Below(static_cast<uint32_t>(state.size()))] = bytes_.Take<char>();
    }
  }
  DeviceState hostile;
  if (!hostile.ParseFromString(state)) return transport_->Resume();
  transport_->Shutdown();
  transport_.reset();
  MakeTransport();
  const absl::Status restored = transport_->Restore(hostile);
  HEARTH_CHECK(bent || restored.ok());
  if (!restored.ok()) {
    transport_->Shutdown();
    transport_.reset();
    MakeTransport();
    HEARTH_CHECK(transport_->Restore(saved).ok());
  }
  driver_->Attach(transport_.get());
  transport_->Resume();
  paused_ = false;
}

void Session::Step() {
  switch (bytes_.Take<uint8_t>() % 20) {
    case 0:
    case 1:
    case 2:
      return AddRequest(false);
    case 3:
    case 4:
      return AddRequest(true);
    case 5:
    case 6:
    case 7:
      if (driver_->has_queues()) {
        driver_->Kick(static_cast<uint16_t>(bytes_.Take<uint8_t>() % driver_->queue_count()));
      }
      if (!bytes_.OneIn(4)) loop_.Settle();
      return;
    case 8:
      return driver_->Write(kQueueNotify, bytes_.Take<uint8_t>());
    case 9:
      return loop_.Settle();
    case 10:
    case 11:
      return CorruptRing();
    case 12:
      if (QueueFake* const queue = AnyQueue()) {
        while (queue->TakeUsed().has_value()) {
        }
      }
      return;
    case 13:
      (void)driver_->TakeInterrupt();
      if (QueueFake* const queue = AnyQueue()) queue->SetUsedEvent(bytes_.Take<uint16_t>());
      return;
    case 14:
      return WriteRegister();
    case 15:
      if (bytes_.OneIn(2)) {
        driver_->Write(kConfig + bytes_.Below(64), bytes_.Take<uint32_t>());
      } else if (QueueFake* const queue = AnyQueue()) {
        queue->WriteAvailableIndex(bytes_.Take<uint16_t>());
      }
      return;
    case 16:
      paused_ ? transport_->Resume() : transport_->Pause();
      paused_ = !paused_;
      return;
    case 17:
      return SaveAndRestore();
    case 18:
      driver_->Reset();
      HEARTH_CHECK(driver_->status() == 0);
      return Start();
    default:
      sample_.Stir();
      return;
  }
}

}  // namespace

void FuzzDevice(Sample& sample, const uint8_t* data, size_t size) {
  static const bool quiet = [] {
    base::SetLogOptions({.level = base::LogLevel::kOff});
    return true;
  }();
  (void)quiet;
  Session(sample, data, size).Run();
}

}  // namespace hearth::virtio
