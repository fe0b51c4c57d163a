// SPDX-License-Identifier: Apache-2.0
// What happens to a drive around its requests: pauses, snapshots, limits, another file.
#include "devices/virtio/block/block_test_base.h"

namespace hearth::virtio::block {
namespace {

using std::chrono::milliseconds;

TEST_P(BlockTest, PausesAndGoesOn) {
  TestFile file;
  TestDrive drive(GetParam(), file.path(), {.queues = 2});
  TransportDriver& driver = drive.driver();
  ASSERT_TRUE(driver.Start());
  std::vector<TestDrive::Sent> sent;
  for (int i = 0; i < 4; ++i) {
    sent.push_back(drive.Add(kTypeOut, 8 * i, Pattern(8, static_cast<char>('a' + i)), 0, i % 2));
    driver.Kick(i % 2);
  }
  // Some are in flight, some not yet taken; each comes back once.
  drive.transport().Pause();
  drive.transport().Resume();
  EXPECT_EQ(drive.Wait(2, 0).size(), 2u);
  EXPECT_EQ(drive.Wait(2, 1).size(), 2u);
  for (const auto& request : sent) EXPECT_EQ(drive.StatusOf(request), kOk);
  EXPECT_EQ(drive.Metric("write_count"), 4u);
  EXPECT_EQ(file.Read(24 * 512, 4096), Pattern(8, 'd'));
}

TEST_P(BlockTest, KeepsItsStateInASnapshot) {
  TestFile file;
  const BlockOptions options = {
      .rate_limit = {.bandwidth = {.size = 1 << 20, .refill_time_ms = 1'000'000'000},
                     .ops = {.size = 100, .one_time_burst = 3, .refill_time_ms = 1'000'000'000}}};
  TestDrive drive(GetParam(), file.path(), options);
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Write(0, Pattern(8, 'a')), kOk);
  EXPECT_EQ(drive.Write(0, Pattern(8, 'a')), kOk);
  drive.transport().Pause();
  const std::string state = drive.device().Save();

  TestDrive other(GetParam(), file.path(), options);
  ASSERT_TRUE(other.device().Restore(state).ok());
  EXPECT_EQ(other.device().Save(), state);
  // Whatever a file says, the limits stay those of the configuration, and no state is no crash.
  EXPECT_FALSE(other.device().Restore("\xff").ok());
  EXPECT_EQ(other.device().Save(), state);
  TestDrive unlimited(GetParam(), file.path());
  EXPECT_TRUE(unlimited.device().Restore(state).ok());
}

TEST_P(BlockTest, ShowsAFileThatChangedWhileItWasSaved) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  drive.device().config_space().Store<uint64_t>(kConfigCapacity, 4096);
  ASSERT_TRUE(drive.driver().Start());
  drive.loop().Settle();
  EXPECT_EQ(drive.Config<uint64_t>(kConfigCapacity), 2048u);
  EXPECT_EQ(drive.driver().TakeInterrupt() & Interrupt::kConfigurationChange,
            Interrupt::kConfigurationChange);
}

TEST_P(BlockTest, LimitsOperations) {
  TestFile file;
  TestDrive drive(GetParam(), file.path(),
                  {.rate_limit = {.ops = {.size = 10, .refill_time_ms = 100}}});
  ASSERT_TRUE(drive.driver().Start(~0ull, 128));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 30; ++i) drive.Add(kTypeIn, i, "", 512);
  drive.driver().Kick(0);
  EXPECT_EQ(drive.Wait(30).size(), 30u);
  // Ten at once, the others one each 10 ms.
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(200));
  EXPECT_GE(drive.Metric("rate_limiter_throttled_events"), 1u);
  EXPECT_LE(drive.Metric("rate_limiter_throttled_events"), 20u);
  EXPECT_EQ(drive.Metric("rate_limiter_throttled_events"),
            drive.Metric("rate_limiter_event_count"));
  EXPECT_EQ(drive.Metric("read_count"), 30u);
}

TEST_P(BlockTest, LimitsBytesOfReadsAndWritesOnly) {
  TestFile file;
  TestDrive drive(
      GetParam(), file.path(),
      {.rate_limit = {.bandwidth = {.size = 8192, .refill_time_ms = 1'000'000'000'000}}});
  ASSERT_TRUE(drive.driver().Start());
  std::string read;
  EXPECT_EQ(drive.Write(0, Pattern(8, 'x')), kOk);
  EXPECT_EQ(drive.Read(0, 4096, &read), kOk);
  EXPECT_EQ(drive.Do(kTypeFlush, 0), kOk);
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, 8), kOk);
  // This one would wait for years. It is no obstacle to a pause, nor to a reset.
  const auto waits = drive.Add(kTypeIn, 0, "", 512);
  drive.driver().Kick(0);
  ASSERT_TRUE(
      drive.loop().RunUntil([&] { return drive.Metric("rate_limiter_throttled_events") == 1; }));
  drive.transport().Pause();
  drive.transport().Resume();
  ASSERT_TRUE(
      drive.loop().RunUntil([&] { return drive.Metric("rate_limiter_throttled_events") == 2; }));
  EXPECT_EQ(drive.StatusOf(waits), '?');
  // A new limit frees it.
  drive.device().ChangeLimiter([](base::RateLimiter& limiter) {
    limiter.SetBandwidth({}, std::chrono::steady_clock::now());
  });
  drive.Wait(1);
  EXPECT_EQ(drive.StatusOf(waits), kOk);
  drive.driver().Reset();
  EXPECT_EQ(drive.driver().status(), 0u);
}

TEST_P(BlockTest, GoesOverToAnotherFile) {
  TestFile first, second(2 << 20);
  first.Write(0, Pattern(1, '1'));
  second.Write(0, Pattern(1, '2'));
  TestDrive drive(GetParam(), first.path());
  ASSERT_TRUE(drive.driver().Start());
  std::string read, id;
  EXPECT_EQ(drive.Read(0, 512, &read), kOk);
  EXPECT_EQ(read, Pattern(1, '1'));
  while (drive.driver().TakeInterrupt() != 0) {
  }
  const uint32_t generation = drive.device().config_space().generation();

  // While a write is on its way: it is for the first file.
  const auto write = drive.Add(kTypeOut, 1, Pattern(1, 'w'), 0);
  drive.driver().Kick(0);
  std::unique_ptr<BackingFile> old;
  drive.device().ReplaceFile(*BackingFile::Open(second.path(), {}),
                             [&old](auto file) { old = std::move(file); });
  ASSERT_TRUE(drive.loop().RunUntil([&] { return old != nullptr; }));
  EXPECT_EQ(old->size_bytes(), 1u << 20);
  EXPECT_EQ(drive.Config<uint64_t>(kConfigCapacity), 4096u);
  EXPECT_NE(drive.device().config_space().generation(), generation);
  drive.Wait(1);
  EXPECT_EQ(drive.StatusOf(write), kOk);
  EXPECT_NE(drive.driver().TakeInterrupt() & Interrupt::kConfigurationChange, 0u);
  EXPECT_EQ(drive.Read(0, 512, &read), kOk);
  EXPECT_EQ(read, Pattern(1, '2'));
  EXPECT_EQ(drive.Read(4095, 512, &read), kOk);
  EXPECT_EQ(drive.Do(kTypeGetId, 0, "", 20, &id), kOk);
  struct stat stat;
  ASSERT_EQ(fstat(second.fd(), &stat), 0);
  EXPECT_EQ(id.c_str(),
            absl::StrCat(stat.st_dev, stat.st_rdev, stat.st_ino).substr(0, kDeviceIdBytes));
  EXPECT_EQ(drive.Metric("update_count"), 1u);
}

TEST_P(BlockTest, GoesOverToAnotherFileWhilePaused) {
  TestFile first, second(1000);
  TestDrive drive(GetParam(), first.path());
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Write(0, Pattern(1, 'x')), kOk);
  drive.transport().Pause();
  std::unique_ptr<BackingFile> old;
  drive.device().ReplaceFile(*BackingFile::Open(second.path(), {}),
                             [&old](auto file) { old = std::move(file); });
  ASSERT_TRUE(drive.loop().RunUntil([&] { return old != nullptr; }));
  drive.transport().Resume();
  EXPECT_EQ(drive.Write(1, Pattern(1, 'y')), kOk);
  EXPECT_EQ(second.Read(512, 512), Pattern(1, 'y'));
  EXPECT_EQ(drive.Write(2, Pattern(1, 'y')), kIoError);
}

TEST_P(BlockTest, ReadsAndWritesPastThePageCache) {
  TestFile file;
  auto opened = BackingFile::Open(file.path(), {.direct = true});
  if (!opened.ok()) GTEST_SKIP() << "skipped, because " << opened.status().message();
  TestDrive drive(GetParam(), file.path(), {}, {.direct = true});
  ASSERT_TRUE(drive.driver().Start(~0ull, 64));
  const uint32_t block = drive.Config<uint32_t>(kConfigBlkSize);
  EXPECT_EQ(block, (*opened)->block_size());
  const uint32_t sectors = block / 512;
  std::string read;
  // The data of a write is at an odd address, that of a read at an even one.
  EXPECT_EQ(drive.Write(8 * sectors, Pattern(sectors * 2, 'o')), kOk);
  EXPECT_EQ(drive.Read(8 * sectors, block * 2, &read), kOk);
  EXPECT_EQ(read, Pattern(sectors * 2, 'o'));
  EXPECT_EQ(file.Read(8 * block, block * 2), Pattern(sectors * 2, 'o'));
  EXPECT_EQ(drive.Read(1, 512, &read), sectors > 1 ? kIoError : kOk);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 8 * sectors, sectors), kOk);
  EXPECT_EQ(drive.Read(8 * sectors, block, &read), kOk);
  EXPECT_EQ(read, std::string(block, '\0'));
}

TEST_P(BlockTest, AnOddSizePastThePageCache) {
  TestFile file(3 * 4096 + 100);
  if (!BackingFile::Open(file.path(), {.direct = true}).ok()) {
    GTEST_SKIP() << "skipped, because the file system has no O_DIRECT";
  }
  file.Write(3 * 4096, std::string(100, 't'));
  TestDrive drive(GetParam(), file.path(), {}, {.direct = true});
  ASSERT_TRUE(drive.driver().Start());
  const uint32_t block = drive.Config<uint32_t>(kConfigBlkSize);
  std::string read;
  EXPECT_EQ(drive.Read(3 * 8, block, &read), kOk);
  EXPECT_EQ(read, std::string(100, 't') + std::string(block - 100, '\0'));
}

// A driver that goes on at once is looked after; when it stops, the device asks to be told again.
TEST_P(BlockTest, SpinsForABusyDriverOnly) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start(~kFeatureEventIdx, 64));
  std::string read;
  for (uint32_t i = 0; i < 4 * SpinPolicy::kFirstTrial; ++i) {
    EXPECT_EQ(drive.Read(i, 512, &read), kOk);
  }
  // Even the slowest machine looks, by trial; it may always be too late.
  EXPECT_GE(drive.Metric("spin_hits") + drive.Metric("spin_misses"), 1u);
  ASSERT_TRUE(drive.loop().RunUntil([&] { return !drive.driver().queue(0).no_notify(); }));
  EXPECT_EQ(drive.Read(0, 512, &read), kOk);
}

// How many answers until a look.
int AnswersUntilALook(SpinPolicy* policy) {
  int answers = 0;
  while (!policy->worth_it()) {
    policy->OnAnswer();
    ++answers;
  }
  return answers;
}

TEST(SpinPolicy, TriesEverMoreRarely) {
  SpinPolicy policy;
  std::vector<int> answers;
  for (int i = 0; i < 7; ++i) {
    answers.push_back(AnswersUntilALook(&policy));
    EXPECT_EQ(policy.look(), SpinPolicy::kTrial);
    policy.OnMiss();
    EXPECT_FALSE(policy.worth_it());
  }
  EXPECT_EQ(answers, (std::vector<int>{32, 64, 128, 256, 512, 1024, 1024}));
}

TEST(SpinPolicy, GoesOnWhileItPays) {
  SpinPolicy policy;
  AnswersUntilALook(&policy);
  policy.OnMiss();
  AnswersUntilALook(&policy);
  for (int i = 0; i < 100; ++i) {
    policy.OnHit();
    policy.OnAnswer();
    EXPECT_TRUE(policy.worth_it());
    EXPECT_EQ(policy.look(), SpinPolicy::kLook);
  }
  // The credit has an end, and goes faster than it came.
  int misses = 0;
  for (; policy.worth_it(); ++misses) policy.OnMiss();
  EXPECT_EQ(misses, 4);
  EXPECT_EQ(AnswersUntilALook(&policy), 32);
}

TEST(WritePolicy, StaysAwayForAWhileAfterAWait) {
  using std::chrono::microseconds;
  WritePolicy policy;
  base::MonotonicTime now{std::chrono::hours(1)};
  const auto write = [&](std::chrono::nanoseconds takes, bool slept) {
    EXPECT_TRUE(policy.MayWrite(now));
    policy.OnWritten(now, now + takes, slept);
    now += takes;
  };
  // The pause until the next try.
  const auto pause = [&] {
    milliseconds wait{0};
    for (; !policy.MayWrite(now + wait); ++wait) {
    }
    now += wait;
    return wait.count();
  };
  write(microseconds(3), false);
  EXPECT_FALSE(policy.suspicious());
  EXPECT_EQ(pause(), 0);
  // A long one is a reason to look, and no more: the thread may have lost its CPU.
  write(milliseconds(200), false);
  EXPECT_TRUE(policy.suspicious());
  EXPECT_EQ(pause(), 0);
  std::vector<int64_t> pauses;
  for (int i = 0; i < 9; ++i) {
    write(milliseconds(200), true);
    pauses.push_back(pause());
  }
  EXPECT_EQ(pauses, (std::vector<int64_t>{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000}));
  // All is well again after so many short ones.
  for (int i = 0; i < WritePolicy::kSuspects; ++i) {
    EXPECT_TRUE(policy.suspicious());
    write(microseconds(3), true);
  }
  EXPECT_FALSE(policy.suspicious());
  write(milliseconds(3), false);
  write(milliseconds(3), true);
  EXPECT_EQ(pause(), 100);
}

INSTANTIATE_TEST_SUITE_P(Engines, BlockTest, testing::Values(EngineKind::kSync, EngineKind::kAsync),
                         EngineName);

}  // namespace
}  // namespace hearth::virtio::block
