// SPDX-License-Identifier: Apache-2.0
// What the block device's tests share: a drive over a file of the test's, and a driver that sends
// it requests, with the loop turned by the test.
#ifndef HEARTH_DEVICES_VIRTIO_BLOCK_BLOCK_TEST_BASE_H_
#define HEARTH_DEVICES_VIRTIO_BLOCK_BLOCK_TEST_BASE_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/block/block_device.h"
#include "devices/virtio/core/test_loop.h"
#include "devices/virtio/core/transport_driver.h"
#include "gtest/gtest.h"

namespace hearth::virtio::block {

enum class EngineKind { kSync, kAsync };

inline std::string EngineName(const testing::TestParamInfo<EngineKind>& info) {
  return info.param == EngineKind::kSync ? "Sync" : "Async";
}

template <typename T>
std::string BytesOf(const T& value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

inline std::string Header(uint32_t type, uint64_t sector) {
  return BytesOf(RequestHeader{.type = type, .reserved = 0, .sector = sector});
}

// `sectors` sectors, each of which says what it is.
inline std::string Pattern(size_t sectors, char seed) {
  std::string text;
  for (size_t i = 0; i < sectors; ++i)
    text += std::string(kSectorBytes, static_cast<char>(seed + i));
  return text;
}

// A file that goes with its object.
class TestFile {
 public:
  explicit TestFile(uint64_t size_bytes = 1 << 20)
      : path_(absl::StrCat(testing::TempDir(), "/block-XXXXXX")), fd_(mkstemp(path_.data())) {
    HEARTH_CHECK(fd_ >= 0 && ftruncate(fd_, static_cast<off_t>(size_bytes)) == 0);
  }
  ~TestFile() {
    close(fd_);
    unlink(path_.c_str());
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }
  std::string Read(uint64_t offset, size_t size) const {
    std::string bytes(size, '?');
    const ssize_t got = pread(fd_, bytes.data(), size, static_cast<off_t>(offset));
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return bytes;
  }
  void Write(uint64_t offset, const std::string& bytes) const {
    HEARTH_CHECK(pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
                 static_cast<ssize_t>(bytes.size()));
  }
  uint64_t size() const { return Stat().st_size; }
  uint64_t allocated_bytes() const { return Stat().st_blocks * 512; }

 private:
  struct stat Stat() const {
    struct stat stat;
    HEARTH_CHECK(fstat(fd_, &stat) == 0);
    return stat;
  }
  std::string path_;
  const int fd_;
};

// A machine with one drive, and its driver.
class TestDrive {
 public:
  TestDrive(EngineKind kind, const std::string& path, BlockOptions options = {},
            BackingFile::Options file_options = {})
      : loop_(TestLoop::Mode::kInline, kind == EngineKind::kAsync) {
    std::unique_ptr<Engine> engine;
    if (kind == EngineKind::kSync) {
      engine = std::make_unique<SyncEngine>();
    } else {
      engine = std::make_unique<RingEngine>(loop_.loop()->ring());
    }
    Make(std::move(engine), path, std::move(options), file_options);
  }
  TestDrive(std::unique_ptr<Engine> engine, const std::string& path, BlockOptions options)
      : loop_(TestLoop::Mode::kInline) {
    Make(std::move(engine), path, std::move(options), {});
  }
  ~TestDrive() { transport_->Shutdown(); }
  TestDrive(const TestDrive&) = delete;
  TestDrive& operator=(const TestDrive&) = delete;

  TestLoop& loop() { return loop_; }
  BlockDevice& device() { return *device_; }
  MmioTransport& transport() { return *transport_; }
  TransportDriver& driver() { return *driver_; }

  // One request, in flight.
  struct Sent {
    uint16_t head;
    GuestAddress data;
    uint32_t data_bytes;
    GuestAddress status;
  };
  // Header, data and status in descriptors of their own. Not yet kicked.
  Sent Add(uint32_t type, uint64_t sector, const std::string& out, uint32_t in_bytes,
           uint16_t queue = 0) {
    Sent sent{};
    std::vector<QueueFake::Part> parts = {
        {driver_->AllocateAndWrite(Header(type, sector)), sizeof(RequestHeader), false}};
    if (!out.empty()) {
      parts.push_back({driver_->AllocateAndWrite(out), static_cast<uint32_t>(out.size()), false});
    }
    if (in_bytes != 0) {
      sent.data = driver_->Allocate(in_bytes, 4096);
      sent.data_bytes = in_bytes;
      parts.push_back({sent.data, in_bytes, true});
    }
    sent.status = driver_->AllocateAndWrite("?");
    parts.push_back({sent.status, 1, true});
    const std::optional<uint16_t> head = driver_->queue(queue).Add(parts);
    HEARTH_CHECK(head.has_value());
    sent.head = *head;
    return sent;
  }
  // Until `count` more requests of the queue are completed; their heads.
  std::vector<QueueFake::Used> Wait(size_t count, uint16_t queue = 0) {
    std::vector<QueueFake::Used> used;
    EXPECT_TRUE(loop_.RunUntil([&] {
      while (auto next = driver_->queue(queue).TakeUsed()) used.push_back(*next);
      return used.size() >= count;
    }));
    return used;
  }
  int StatusOf(const Sent& sent) {
    return static_cast<uint8_t>(driver_->ReadMemory(sent.status, 1)[0]);
  }
  std::string DataOf(const Sent& sent) { return driver_->ReadMemory(sent.data, sent.data_bytes); }

  // One request from its beginning to its end; the status.
  int Do(uint32_t type, uint64_t sector, const std::string& out = "", uint32_t in_bytes = 0,
         std::string* in = nullptr) {
    const Sent sent = Add(type, sector, out, in_bytes);
    driver_->Kick(0);
    Wait(1);
    if (in != nullptr) *in = DataOf(sent);
    return StatusOf(sent);
  }
  int Write(uint64_t sector, const std::string& data) { return Do(kTypeOut, sector, data); }
  int Read(uint64_t sector, uint32_t bytes, std::string* data) {
    return Do(kTypeIn, sector, "", bytes, data);
  }
  int Range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags = 0) {
    return Do(type, 0,
              BytesOf(RangeSegment{.sector = sector, .sector_count = count, .flags = flags}));
  }
  template <typename T>
  T Config(uint32_t offset) {
    return device_->config_space().Load<T>(offset);
  }
  uint64_t Metric(absl::string_view name) {
    uint64_t found = ~0ull;
    device_->VisitMetrics([&](absl::string_view metric, uint64_t value) {
      if (metric == name) found = value;
    });
    return found;
  }

 private:
  void Make(std::unique_ptr<Engine> engine, const std::string& path, BlockOptions options,
            BackingFile::Options file_options) {
    auto memory = GuestMemory::Create({.size_bytes = 64 << 20});
    HEARTH_CHECK(memory.ok());
    memory_ = *std::move(memory);
    options.path = "drives/test";
    file_options.read_only = options.read_only;
    auto file = BackingFile::Open(path, file_options);
    HEARTH_CHECK(file.ok());
    const DeviceContext context = loop_.Context(memory_.get());
    auto device = std::make_unique<BlockDevice>(std::move(options), *std::move(file),
                                                std::move(engine), context);
    device_ = device.get();
    auto transport = MmioTransport::Create("drives/test", std::move(device), context);
    HEARTH_CHECK(transport.ok());
    transport_ = *std::move(transport);
    driver_ =
        std::make_unique<TransportDriver>(transport_.get(), memory_.get(), GuestAddress(1 << 20));
  }

  TestLoop loop_;
  std::unique_ptr<GuestMemory> memory_;
  BlockDevice* device_ = nullptr;
  std::unique_ptr<MmioTransport> transport_;
  std::unique_ptr<TransportDriver> driver_;
};

inline constexpr int kOk = 0;
inline constexpr int kIoError = 1;
inline constexpr int kUnsupported = 2;

// Over both engines.
class BlockTest : public testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    if (GetParam() == EngineKind::kAsync && !base::IoRing::Create(8).ok()) {
      GTEST_SKIP() << "skipped, because this host does not allow io_uring";
    }
  }
};

}  // namespace hearth::virtio::block

#endif  // HEARTH_DEVICES_VIRTIO_BLOCK_BLOCK_TEST_BASE_H_
