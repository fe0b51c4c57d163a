// SPDX-License-Identifier: Apache-2.0
// The block device's requests, as the specification has them.
#include "devices/virtio/block/block_test_base.h"

namespace hearth::virtio::block {
namespace {

TEST_P(BlockTest, OffersWhatItHas) {
  TestFile file;
  TestDrive drive(GetParam(), file.path(), {.queues = 4, .queue_size = 128});
  EXPECT_EQ(drive.device().features(), kFeatureSegMax | kFeatureBlkSize | kFeatureFlush |
                                           kFeatureTopology | kFeatureConfigWce | kFeatureMq |
                                           kFeatureDiscard | kFeatureWriteZeroes);
  EXPECT_EQ(drive.device().virtio_id(), 2u);
  EXPECT_EQ(drive.device().queue_sizes().size(), 4u);
  EXPECT_EQ(drive.device().queue_sizes()[3], 128);
  EXPECT_EQ(drive.Config<uint64_t>(kConfigCapacity), 2048u);
  EXPECT_EQ(drive.Config<uint32_t>(kConfigSegMax), 126u);
  EXPECT_EQ(drive.Config<uint32_t>(kConfigBlkSize), 512u);
  EXPECT_EQ(drive.Config<uint16_t>(kConfigNumQueues), 4u);
  EXPECT_EQ(drive.Config<uint8_t>(kConfigWriteback), 1);
  EXPECT_EQ(drive.Config<uint8_t>(kConfigWriteZeroesMayUnmap), 1);
  EXPECT_EQ(drive.Config<uint32_t>(kConfigMaxDiscardSeg), 16u);
  EXPECT_EQ(512u << drive.Config<uint8_t>(kConfigPhysicalBlockExp),
            512u * drive.Config<uint16_t>(kConfigMinIoSize));

  TestDrive read_only(GetParam(), file.path(), {.read_only = true});
  EXPECT_EQ(read_only.device().features(),
            kFeatureSegMax | kFeatureBlkSize | kFeatureTopology | kFeatureReadOnly);
  TestDrive unsafe(GetParam(), file.path(), {.unsafe = true});
  EXPECT_EQ(unsafe.device().features() & (kFeatureFlush | kFeatureConfigWce), 0u);
}

TEST_P(BlockTest, ReadsAndWrites) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  const std::string data = Pattern(8, 'a');
  EXPECT_EQ(drive.Write(16, data), kOk);
  EXPECT_EQ(file.Read(16 * 512, data.size()), data);
  file.Write(2040 * 512, Pattern(8, 'q'));
  std::string read;
  EXPECT_EQ(drive.Read(2040, 8 * 512, &read), kOk);
  EXPECT_EQ(read, Pattern(8, 'q'));
  EXPECT_EQ(drive.Metric("read_bytes"), 8u * 512);
  EXPECT_EQ(drive.Metric("read_count"), 1u);
  EXPECT_EQ(drive.Metric("write_bytes"), 8u * 512);
  EXPECT_EQ(drive.Metric("write_count"), 1u);
}

TEST_P(BlockTest, SaysHowMuchItWrote) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  const auto read = drive.Add(kTypeIn, 0, "", 1024);
  drive.driver().Kick(0);
  EXPECT_EQ(drive.Wait(1)[0].written, 1025u);
  EXPECT_EQ(drive.StatusOf(read), kOk);
  drive.Add(kTypeOut, 0, Pattern(1, 'x'), 0);
  drive.driver().Kick(0);
  EXPECT_EQ(drive.Wait(1)[0].written, 1u);
}

// "Message Framing": the driver may cut a request as it likes.
TEST_P(BlockTest, TakesAnyFraming) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  TransportDriver& driver = drive.driver();
  ASSERT_TRUE(driver.Start(~0ull, 64));
  const std::string data = Pattern(2, 'f');
  const std::string whole = Header(kTypeOut, 4) + data;
  // Into parts of every size, then back, with the status byte in the last part of the data.
  for (const uint32_t part : {1040u, 17u, 100u, 511u, 1024u}) {
    file.Write(4 * 512, Pattern(2, '-'));
    const GuestAddress at = driver.AllocateAndWrite(whole);
    std::vector<QueueFake::Part> parts;
    for (uint32_t done = 0; done < whole.size(); done += part) {
      parts.push_back({at + done, std::min<uint32_t>(part, whole.size() - done), false});
    }
    const GuestAddress status = driver.AllocateAndWrite("?");
    parts.push_back({status, 1, true});
    ASSERT_TRUE(driver.queue(0).Add(parts).has_value());
    driver.Kick(0);
    drive.Wait(1);
    EXPECT_EQ(driver.ReadMemory(status, 1)[0], kOk) << part;
    EXPECT_EQ(file.Read(4 * 512, 1024), data) << part;

    const GuestAddress header = driver.AllocateAndWrite(Header(kTypeIn, 4));
    const GuestAddress back = driver.AllocateAndWrite(std::string(1025, '?'));
    parts = {{header, 3, false}, {header + 3, 13, false}};
    for (uint32_t done = 0; done < 1025; done += part) {
      parts.push_back({back + done, std::min(part, 1025 - done), true});
    }
    ASSERT_TRUE(driver.queue(0).Add(parts).has_value());
    driver.Kick(0);
    EXPECT_EQ(drive.Wait(1)[0].written, 1025u);
    EXPECT_EQ(driver.ReadMemory(back, 1024), data) << part;
    EXPECT_EQ(driver.ReadMemory(back + 1024, 1)[0], kOk) << part;
  }
}

TEST_P(BlockTest, TakesIndirectRequests) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  TransportDriver& driver = drive.driver();
  ASSERT_TRUE(driver.Start());
  const GuestAddress header = driver.AllocateAndWrite(Header(kTypeOut, 1));
  const GuestAddress data = driver.AllocateAndWrite(Pattern(1, 'i'));
  const GuestAddress status = driver.AllocateAndWrite("?");
  ASSERT_TRUE(driver.queue(0)
                  .AddIndirect({{header, 16, false}, {data, 512, false}, {status, 1, true}},
                               driver.Allocate(48))
                  .has_value());
  driver.Kick(0);
  drive.Wait(1);
  EXPECT_EQ(driver.ReadMemory(status, 1)[0], kOk);
  EXPECT_EQ(file.Read(512, 512), Pattern(1, 'i'));
}

TEST_P(BlockTest, RefusesWhatIsOutOfRange) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  std::string read;
  EXPECT_EQ(drive.Read(2047, 512, &read), kOk);
  EXPECT_EQ(drive.Read(2048, 512, &read), kIoError);
  EXPECT_EQ(drive.Read(2047, 1024, &read), kIoError);
  EXPECT_EQ(drive.Read(~0ull, 512, &read), kIoError);
  EXPECT_EQ(drive.Read(~0ull / 512, 1024, &read), kIoError);
  EXPECT_EQ(drive.Write(2048, Pattern(1, 'x')), kIoError);
  EXPECT_EQ(drive.Write((1ull << 55) + 1, Pattern(1, 'x')), kIoError);
  // Sizes that are no sectors, and nothing at all.
  EXPECT_EQ(drive.Read(0, 511, &read), kIoError);
  EXPECT_EQ(drive.Read(0, 0, &read), kIoError);
  EXPECT_EQ(drive.Write(0, "short"), kIoError);
  EXPECT_EQ(drive.Write(0, ""), kIoError);
  EXPECT_EQ(drive.Metric("invalid_reqs_count"), 10u);
  EXPECT_EQ(file.size(), 1u << 20);
}

TEST_P(BlockTest, DoesNotKnowEverything) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  for (const uint32_t type : {2u, 3u, 5u, 7u, 10u, 12u, 14u, 16u, 0x80000000u, ~0u}) {
    EXPECT_EQ(drive.Do(type, 0), kUnsupported) << type;
  }
}

TEST_P(BlockTest, AnswersAHeaderThatIsTooShort) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  TransportDriver& driver = drive.driver();
  ASSERT_TRUE(driver.Start());
  const auto request = driver.Add(0, "fifteen bytes!!", 1);
  driver.Kick(0);
  drive.Wait(1);
  EXPECT_EQ(driver.ReadMemory(request->writable, 1)[0], kIoError);
}

TEST_P(BlockTest, NeedsResetWhereThereIsNoRoomForAnAnswer) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  TransportDriver& driver = drive.driver();
  ASSERT_TRUE(driver.Start());
  driver.Add(0, Header(kTypeOut, 0) + Pattern(1, 'x'), 0);
  driver.Kick(0);
  EXPECT_TRUE(drive.loop().RunUntil([&] { return (driver.status() & kDeviceNeedsReset) != 0; }));
  EXPECT_EQ(file.Read(0, 512), std::string(512, '\0'));
  // And works again after it.
  ASSERT_TRUE(driver.Start());
  EXPECT_EQ(drive.Write(0, Pattern(1, 'x')), kOk);
}

TEST_P(BlockTest, TellsItsId) {
  TestFile file;
  std::string id;
  {
    TestDrive drive(GetParam(), file.path(), {.serial = "disk-1"});
    ASSERT_TRUE(drive.driver().Start());
    EXPECT_EQ(drive.Do(kTypeGetId, 0, "", 20, &id), kOk);
    EXPECT_EQ(id, std::string("disk-1") + std::string(14, '\0'));
    EXPECT_EQ(drive.Do(kTypeGetId, 0, "", 3, &id), kOk);
    EXPECT_EQ(id, "dis");
  }
  struct stat stat;
  ASSERT_EQ(fstat(file.fd(), &stat), 0);
  std::string wanted = absl::StrCat(stat.st_dev, stat.st_rdev, stat.st_ino);
  wanted.resize(20);
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Do(kTypeGetId, 0, "", 20, &id), kOk);
  EXPECT_EQ(id, wanted);
}

TEST_P(BlockTest, ReadOnlyDrivesStayAsTheyAre) {
  TestFile file;
  file.Write(0, Pattern(1, 'r'));
  ASSERT_EQ(chmod(file.path().c_str(), 0444), 0);
  TestDrive drive(GetParam(), file.path(), {.read_only = true});
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Write(0, Pattern(1, 'x')), kIoError);
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, 8), kIoError);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 0, 8), kIoError);
  EXPECT_EQ(drive.Do(kTypeFlush, 0), kOk);
  std::string read;
  EXPECT_EQ(drive.Read(0, 512, &read), kOk);
  EXPECT_EQ(read, Pattern(1, 'r'));
}

TEST_P(BlockTest, FlushesWhereThatMeansSomething) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Write(0, Pattern(1, 'x')), kOk);
  EXPECT_EQ(drive.Do(kTypeFlush, 0), kOk);
  EXPECT_EQ(drive.Metric("flush_count"), 1u);
}

// The part of a file that is no whole sector is there, too.
TEST_P(BlockTest, SizesNeedNotBeWholeSectors) {
  TestFile file(1000);
  file.Write(0, std::string(1000, 't'));
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Config<uint64_t>(kConfigCapacity), 2u);
  std::string read;
  EXPECT_EQ(drive.Read(0, 1024, &read), kOk);
  EXPECT_EQ(read, std::string(1000, 't') + std::string(24, '\0'));
  EXPECT_EQ(drive.Read(1, 512, &read), kOk);
  EXPECT_EQ(read, std::string(488, 't') + std::string(24, '\0'));
  EXPECT_EQ(file.size(), 1000u);
  EXPECT_EQ(drive.Write(1, Pattern(1, 'w')), kOk);
  EXPECT_EQ(file.size(), 1024u);
  EXPECT_EQ(drive.Read(1, 512, &read), kOk);
  EXPECT_EQ(read, Pattern(1, 'w'));
}

TEST_P(BlockTest, AFileThatShrankIsAnIoError) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  ASSERT_EQ(ftruncate(file.fd(), 4096), 0);
  std::string read;
  EXPECT_EQ(drive.Read(0, 4096, &read), kOk);
  EXPECT_EQ(drive.Read(8, 512, &read), kIoError);
  EXPECT_EQ(drive.Read(7, 1024, &read), kIoError);
  EXPECT_EQ(drive.Metric("execute_fails"), 2u);
}

TEST_P(BlockTest, DiscardFreesTheHostsBlocks) {
  TestFile file;
  file.Write(0, std::string(1 << 20, 'd'));
  ASSERT_EQ(fsync(file.fd()), 0);
  const uint64_t before = file.allocated_bytes();
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  EXPECT_EQ(drive.Range(kTypeDiscard, 1024, 1024), kOk);
  EXPECT_LE(file.allocated_bytes(), before - (1 << 18));
  EXPECT_EQ(file.size(), 1u << 20);
  EXPECT_EQ(file.Read(0, 1 << 19), std::string(1 << 19, 'd'));
  EXPECT_EQ(drive.Metric("discard_bytes"), 1u << 19);
  // "Device Requirements: Device Operation".
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, 8, kRangeFlagUnmap), kUnsupported);
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, 8, 2), kUnsupported);
  EXPECT_EQ(drive.Range(kTypeDiscard, 2048, 1), kIoError);
  EXPECT_EQ(drive.Range(kTypeDiscard, ~0ull, 1), kIoError);
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, kMaxRangeSectors + 1), kIoError);
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, 0), kOk);
  EXPECT_EQ(drive.Do(kTypeDiscard, 0), kIoError);
  EXPECT_EQ(drive.Do(kTypeDiscard, 0, std::string(15, '\0')), kIoError);
  EXPECT_EQ(drive.Do(kTypeDiscard, 0, std::string(16 * 17, '\0')), kIoError);
}

TEST_P(BlockTest, WritesZeroes) {
  TestFile file;
  file.Write(0, std::string(1 << 20, 'z'));
  ASSERT_EQ(fsync(file.fd()), 0);
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start());
  // Odd ranges, and two at a time.
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 1, 3), kOk);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 101, 203, kRangeFlagUnmap), kOk);
  EXPECT_EQ(drive.Do(kTypeWriteZeroes, 0,
                     BytesOf(RangeSegment{.sector = 1000, .sector_count = 10, .flags = 0}) +
                         BytesOf(RangeSegment{.sector = 1020, .sector_count = 10, .flags = 1})),
            kOk);
  std::string wanted(1 << 20, 'z');
  const auto zero = [&wanted](size_t sector, size_t count) {
    wanted.replace(sector * 512, count * 512, count * 512, '\0');
  };
  zero(1, 3);
  zero(101, 203);
  zero(1000, 10);
  zero(1020, 10);
  EXPECT_TRUE(file.Read(0, 1 << 20) == wanted);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 0, 8, 2), kUnsupported);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 2047, 2), kIoError);
  EXPECT_EQ(drive.Metric("write_zeroes_bytes"), 226u * 512);
}

// tmpfs knows holes, but not FALLOC_FL_ZERO_RANGE.
TEST_P(BlockTest, WritesZeroesWhereTheFileSystemCannot) {
  const base::UniqueFd memfd(memfd_create("block_test", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memfd.get(), 4 << 20), 0);
  TestDrive drive(GetParam(), absl::StrCat("/proc/self/fd/", memfd.get()));
  ASSERT_TRUE(drive.driver().Start());
  const std::string ones(3 << 20, '1');
  ASSERT_EQ(pwrite(memfd.get(), ones.data(), ones.size(), 0), 3 << 20);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 1, 4097), kOk);
  std::string got(3 << 20, '?');
  ASSERT_EQ(pread(memfd.get(), got.data(), got.size(), 0), 3 << 20);
  std::string wanted = ones;
  wanted.replace(512, 4097 * 512, 4097 * 512, '\0');
  EXPECT_TRUE(got == wanted);
}

TEST_P(BlockTest, OnlyWhatWasNegotiated) {
  TestFile file;
  TestDrive drive(GetParam(), file.path());
  ASSERT_TRUE(drive.driver().Start(~(kFeatureDiscard | kFeatureWriteZeroes)));
  EXPECT_EQ(drive.Range(kTypeDiscard, 0, 8), kUnsupported);
  EXPECT_EQ(drive.Range(kTypeWriteZeroes, 0, 8), kUnsupported);
}

INSTANTIATE_TEST_SUITE_P(Engines, BlockTest, testing::Values(EngineKind::kSync, EngineKind::kAsync),
                         EngineName);

}  // namespace
}  // namespace hearth::virtio::block
