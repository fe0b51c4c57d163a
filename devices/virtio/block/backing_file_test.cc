// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/backing_file.h"

#include "base/log.h"
#include "devices/virtio/block/block_test_base.h"
#include "gmock/gmock.h"

namespace hearth::virtio::block {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(const std::string& path, BackingFile::Options options = {}) {
  const auto file = BackingFile::Open(path, options);
  if (file.ok()) return "";
  EXPECT_TRUE(absl::IsInvalidArgument(file.status()));
  return std::string(file.status().message());
}

TEST(BackingFile, RefusesWhatIsNoImage) {
  EXPECT_EQ(ErrorOf("/nowhere/disk"), "open /nowhere/disk: No such file or directory");
  EXPECT_EQ(ErrorOf("/tmp", {.read_only = true}),
            "/tmp: is neither a regular file nor a block device");
  EXPECT_THAT(ErrorOf("/tmp"), HasSubstr("Is a directory"));
  EXPECT_EQ(ErrorOf("/dev/null"), "/dev/null: is neither a regular file nor a block device");
  const std::string fifo = testing::TempDir() + "/fifo";
  unlink(fifo.c_str());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(ErrorOf(fifo), fifo + ": is neither a regular file nor a block device");
  unlink(fifo.c_str());
}

TEST(BackingFile, RoundsItsSizeUp) {
  for (const auto& [size, sectors] : std::map<uint64_t, uint64_t>{
           {0, 0}, {1, 1}, {511, 1}, {512, 1}, {513, 2}, {1 << 20, 2048}}) {
    TestFile file(size);
    const auto backing = BackingFile::Open(file.path(), {});
    ASSERT_TRUE(backing.ok());
    EXPECT_EQ((*backing)->size_bytes(), size);
    EXPECT_EQ((*backing)->capacity_sectors(), sectors);
  }
}

TEST(BackingFile, OpensReadOnlyFilesReadOnly) {
  TestFile file;
  const auto backing = BackingFile::Open(file.path(), {.read_only = true});
  ASSERT_TRUE(backing.ok());
  EXPECT_EQ(fcntl((*backing)->fd(), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_NE(fcntl((*backing)->fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(BackingFile, SendsMisalignedBuffersThroughThePageCache) {
  TestFile file;
  const auto backing = BackingFile::Open(file.path(), {.direct = true});
  if (!backing.ok()) GTEST_SKIP() << "skipped, because " << backing.status().message();
  alignas(4096) static char buffer[8192];
  const iovec good = {buffer, 4096}, odd_start = {buffer + 1, 4096}, odd_size = {buffer, 513};
  EXPECT_NE((*backing)->fd_for({&good, 1}, 0), (*backing)->fd());
  EXPECT_EQ((*backing)->fd_for({&odd_start, 1}, 0), (*backing)->fd());
  EXPECT_EQ((*backing)->fd_for({&odd_size, 1}, 0), (*backing)->fd());
  EXPECT_EQ((*backing)->fd_for({&good, 1}, 100), (*backing)->fd());
}

// What the warning goes by.
TEST(BackingFile, KnowsOfOtherUsers) {
  TestFile file;
  const std::string log = testing::TempDir() + "/warnings";
  unlink(log.c_str());
  ASSERT_TRUE(base::SetLogPath(log).ok());
  const auto lines = [&log] {
    std::string text;
    char buffer[4096];
    const base::UniqueFd fd(open(log.c_str(), O_RDONLY));
    const ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size > 0) text.assign(buffer, size);
    return std::count(text.begin(), text.end(), '\n');
  };
  auto reader = *BackingFile::Open(file.path(), {.read_only = true});
  auto second_reader = *BackingFile::Open(file.path(), {.read_only = true});
  auto writer = *BackingFile::Open(file.path(), {});
  reader->WarnIfShared("drives/a");
  second_reader->WarnIfShared("drives/b");
  EXPECT_EQ(lines(), 0);
  writer->WarnIfShared("drives/c");
  EXPECT_EQ(lines(), 1);
  reader.reset();
  second_reader.reset();
  writer->WarnIfShared("drives/c");
  EXPECT_EQ(lines(), 1);
  reader = *BackingFile::Open(file.path(), {.read_only = true});
  reader->WarnIfShared("drives/a");
  EXPECT_EQ(lines(), 2);
}

}  // namespace
}  // namespace hearth::virtio::block
