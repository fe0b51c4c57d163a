// SPDX-License-Identifier: Apache-2.0
// What a drive asks of its engine, seen by an engine that writes it down and fails on demand.
#include <deque>

#include "devices/virtio/block/block_test_base.h"

namespace hearth::virtio::block {
namespace {

// Makes calls when it is told to, or at once.
class ScriptedEngine final : public Engine {
 public:
  void Start(Io* io, bool alone) override {
    log.push_back({io->kind(), io->NextCall().offset, io->NextCall().vectors.size(), alone});
    waiting_.push_back(io);
    if (!hold) FinishAll();
  }
  void FinishAll() {
    while (!waiting_.empty()) {
      Io* const io = waiting_.front();
      waiting_.pop_front();
      const IoCall call = io->NextCall();
      uint64_t bytes = 0;
      for (const iovec& vector : call.vectors) bytes += vector.iov_len;
      const bool fails = call.offset <= bad_offset && bad_offset < call.offset + bytes;
      EXPECT_TRUE(io->Advance(fails ? -EIO : static_cast<int64_t>(bytes)));
      io->Finish();
    }
  }

  struct Entry {
    Io::Kind kind;
    uint64_t offset;
    size_t vectors;
    bool alone;
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> log;
  bool hold = false;
  uint64_t bad_offset = ~0ull;

 private:
  std::deque<Io*> waiting_;
};

class BlockEngineTest : public testing::Test {
 protected:
  void Make(BlockOptions options = {}) {
    auto engine = std::make_unique<ScriptedEngine>();
    engine_ = engine.get();
    drive_ = std::make_unique<TestDrive>(std::move(engine), file_.path(), std::move(options));
  }
  TestDrive& drive() { return *drive_; }
  ScriptedEngine& engine() { return *engine_; }

  TestFile file_;
  ScriptedEngine* engine_ = nullptr;
  std::unique_ptr<TestDrive> drive_;
};

using Kind = Io::Kind;
using Entry = ScriptedEngine::Entry;

TEST_F(BlockEngineTest, JoinsAdjacentRequests) {
  Make();
  ASSERT_TRUE(drive().driver().Start(~0ull, 64));
  std::vector<TestDrive::Sent> sent;
  for (const uint64_t sector : {0, 1, 2, 4, 5})
    sent.push_back(drive().Add(kTypeIn, sector, "", 512));
  sent.push_back(drive().Add(kTypeOut, 6, Pattern(1, 'x'), 0));
  sent.push_back(drive().Add(kTypeOut, 7, Pattern(1, 'x'), 0));
  drive().driver().Kick(0);
  EXPECT_EQ(drive().Wait(7).size(), 7u);
  EXPECT_EQ(engine().log, (std::vector<Entry>{{Kind::kRead, 0, 3, false},
                                              {Kind::kRead, 4 * 512, 2, false},
                                              {Kind::kWrite, 6 * 512, 2, false}}));
  for (const auto& request : sent) EXPECT_EQ(drive().StatusOf(request), kOk);
  EXPECT_EQ(drive().Metric("merged_count"), 7u);
}

TEST_F(BlockEngineTest, SaysWhenARequestIsAlone) {
  Make();
  ASSERT_TRUE(drive().driver().Start());
  drive().Add(kTypeIn, 0, "", 512);
  drive().driver().Kick(0);
  drive().Wait(1);
  EXPECT_EQ(engine().log, (std::vector<Entry>{{Kind::kRead, 0, 1, true}}));
}

TEST_F(BlockEngineTest, ABadSectorFailsItsRequestOnly) {
  Make();
  engine().bad_offset = 600;
  ASSERT_TRUE(drive().driver().Start());
  std::vector<TestDrive::Sent> sent;
  for (const uint64_t sector : {0, 1, 2}) sent.push_back(drive().Add(kTypeIn, sector, "", 512));
  drive().driver().Kick(0);
  drive().Wait(3);
  EXPECT_EQ(drive().StatusOf(sent[0]), kOk);
  EXPECT_EQ(drive().StatusOf(sent[1]), kIoError);
  EXPECT_EQ(drive().StatusOf(sent[2]), kOk);
  EXPECT_EQ(drive().Metric("execute_fails"), 1u);
  EXPECT_EQ(drive().Metric("read_count"), 2u);
}

// "Driver Requirements: Device Initialization": a driver without FLUSH cannot ask for it.
TEST_F(BlockEngineTest, WritesThroughForADriverWithoutFlush) {
  Make();
  ASSERT_TRUE(drive().driver().Start(~(kFeatureFlush | kFeatureConfigWce)));
  EXPECT_EQ(drive().Write(0, Pattern(1, 'x')), kOk);
  EXPECT_EQ(drive().Range(kTypeWriteZeroes, 8, 8), kOk);
  EXPECT_EQ(engine().log, (std::vector<Entry>{{Kind::kWrite, 0, 1, true},
                                              {Kind::kFlush, 0, 0, false},
                                              {Kind::kZero, 4096, 0, false},
                                              {Kind::kFlush, 0, 0, false}}));
}

TEST_F(BlockEngineTest, TheDriverChoosesTheCacheMode) {
  Make();
  ASSERT_TRUE(drive().driver().Start());
  EXPECT_EQ(drive().Write(0, Pattern(1, 'x')), kOk);
  EXPECT_EQ(engine().log.size(), 1u);
  const uint8_t off = 0, on = 1;
  drive().transport().Write(0x100 + kConfigWriteback, {&off, 1});
  drive().loop().Settle();
  EXPECT_EQ(drive().Write(0, Pattern(1, 'x')), kOk);
  EXPECT_EQ(engine().log.size(), 3u);
  EXPECT_EQ(engine().log.back().kind, Kind::kFlush);
  drive().transport().Write(0x100 + kConfigWriteback, {&on, 1});
  drive().loop().Settle();
  EXPECT_EQ(drive().Write(0, Pattern(1, 'x')), kOk);
  EXPECT_EQ(engine().log.size(), 4u);
  // A reset is a new beginning; a driver without FLUSH finds the cache off.
  drive().transport().Write(0x100 + kConfigWriteback, {&off, 1});
  drive().driver().Reset();
  EXPECT_EQ(drive().Config<uint8_t>(kConfigWriteback), 1);
  ASSERT_TRUE(drive().driver().Start(~kFeatureFlush));
  drive().loop().Settle();
  EXPECT_EQ(drive().Config<uint8_t>(kConfigWriteback), 0);
}

TEST_F(BlockEngineTest, UnsafeNeverFlushes) {
  Make({.unsafe = true});
  ASSERT_TRUE(drive().driver().Start());
  EXPECT_EQ(drive().Write(0, Pattern(1, 'x')), kOk);
  EXPECT_EQ(drive().Do(kTypeFlush, 0), kOk);
  EXPECT_EQ(engine().log.size(), 1u);
}

TEST_F(BlockEngineTest, TakesSoManyAtOnce) {
  Make();
  engine().hold = true;
  ASSERT_TRUE(drive().driver().Start(~0ull, 256));
  constexpr uint32_t kCount = 85;  // three descriptors each
  for (uint32_t i = 0; i < kCount; ++i) drive().Add(kTypeIn, 2 * i, "", 512);
  drive().driver().Kick(0);
  drive().loop().Settle();
  EXPECT_EQ(engine().log.size(), kCount);
  engine().hold = false;
  engine().FinishAll();
  EXPECT_EQ(drive().Wait(kCount).size(), kCount);
}

TEST_F(BlockEngineTest, TakesNoMoreThanItCanHold) {
  Make({.queues = 2});
  engine().hold = true;
  ASSERT_TRUE(drive().driver().Start(~0ull, 256));
  for (uint16_t queue = 0; queue < 2; ++queue) {
    for (uint32_t i = 0; i < 80; ++i) drive().Add(kTypeIn, 2 * i, "", 512, queue);
    drive().driver().Kick(queue);
  }
  drive().loop().Settle();
  EXPECT_EQ(engine().log.size(), BlockDevice::kMaxInFlight);
  EXPECT_GE(drive().Metric("io_engine_throttled_events"), 1u);
  engine().hold = false;
  engine().FinishAll();
  EXPECT_EQ(drive().Wait(80, 0).size(), 80u);
  EXPECT_EQ(drive().Wait(80, 1).size(), 80u);
}

TEST_F(BlockEngineTest, APauseWaitsForWhatIsInFlight) {
  Make();
  engine().hold = true;
  ASSERT_TRUE(drive().driver().Start());
  const auto read = drive().Add(kTypeIn, 0, "", 512);
  drive().driver().Kick(0);
  drive().loop().Settle();
  ASSERT_EQ(engine().log.size(), 1u);
  drive().loop().loop()->PostDelayed(absl::Milliseconds(1), [this] { engine().FinishAll(); });
  drive().transport().Pause();
  EXPECT_EQ(drive().StatusOf(read), kOk);
  EXPECT_EQ(drive().driver().queue(0).used_index(), 1);
  drive().transport().Resume();
}

TEST_F(BlockEngineTest, AnotherFileWaitsForWhatIsInFlightAndIsFlushed) {
  Make();
  engine().hold = true;
  ASSERT_TRUE(drive().driver().Start());
  drive().Add(kTypeOut, 0, Pattern(1, 'x'), 0);
  drive().driver().Kick(0);
  drive().loop().Settle();
  bool done = false;
  drive().device().ReplaceFile(*BackingFile::Open(file_.path(), {}),
                               [&done](auto) { done = true; });
  drive().Add(kTypeIn, 0, "", 512);
  drive().driver().Kick(0);
  drive().loop().Settle();
  EXPECT_FALSE(done);
  EXPECT_EQ(engine().log.size(), 1u);
  engine().FinishAll();
  drive().loop().Settle();
  ASSERT_EQ(engine().log.size(), 2u);
  EXPECT_EQ(engine().log[1].kind, Kind::kFlush);
  EXPECT_FALSE(done);
  engine().hold = false;
  engine().FinishAll();
  EXPECT_TRUE(done);
  EXPECT_EQ(drive().Wait(2).size(), 2u);
}

}  // namespace
}  // namespace hearth::virtio::block
