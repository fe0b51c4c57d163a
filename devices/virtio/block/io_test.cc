// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/io.h"

#include <linux/falloc.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>

#include "devices/virtio/block/block_test_base.h"

namespace hearth::virtio::block {
namespace {

class IoTest : public testing::Test, protected Io::Owner {
 protected:
  IoTest() : backing_(*BackingFile::Open(file_.path(), {})) {}
  void OnIoDone(Io*) override {}

  TestFile file_{1000};
  std::unique_ptr<BackingFile> backing_;
  Io io_{this};
};

std::string Shape(const IoCall& call) {
  std::string text = absl::StrCat(call.offset, ":");
  for (const iovec& vector : call.vectors) absl::StrAppend(&text, " ", vector.iov_len);
  return text;
}

TEST_F(IoTest, GoesOnAfterAShortTransfer) {
  char buffer[600];
  const std::array<iovec, 3> vectors = {{{buffer, 100}, {buffer + 100, 200}, {buffer + 300, 300}}};
  io_.SetTransfer(Io::Kind::kRead, backing_.get(), vectors, 0, 600);
  EXPECT_EQ(Shape(io_.NextCall()), "0: 100 200 300");
  EXPECT_FALSE(io_.Advance(50));
  EXPECT_EQ(Shape(io_.NextCall()), "50: 50 200 300");
  EXPECT_FALSE(io_.Advance(50));
  EXPECT_EQ(Shape(io_.NextCall()), "100: 200 300");
  EXPECT_FALSE(io_.Advance(-EINTR));
  EXPECT_FALSE(io_.Advance(250));
  EXPECT_EQ(Shape(io_.NextCall()), "350: 250");
  EXPECT_TRUE(io_.Advance(250));
  EXPECT_EQ(io_.error(), 0);
}

TEST_F(IoTest, BehindTheEndOfTheFileAreZeroes) {
  std::string buffer(1024, '?');
  const std::array<iovec, 2> vectors = {{{buffer.data(), 1000}, {buffer.data() + 1000, 24}}};
  io_.SetTransfer(Io::Kind::kRead, backing_.get(), vectors, 0, 1024);
  EXPECT_FALSE(io_.Advance(999));
  EXPECT_TRUE(io_.Advance(1));
  EXPECT_EQ(io_.error(), 0);
  EXPECT_EQ(buffer, std::string(1000, '?') + std::string(24, '\0'));
}

TEST_F(IoTest, NothingTransferredIsAnError) {
  std::string buffer(1024, '?');
  const std::array<iovec, 1> vectors = {{{buffer.data(), 1024}}};
  for (const Io::Kind kind : {Io::Kind::kRead, Io::Kind::kWrite}) {
    io_.SetTransfer(kind, backing_.get(), vectors, 0, 1024);
    EXPECT_FALSE(io_.Advance(500));
    EXPECT_TRUE(io_.Advance(0));
    EXPECT_EQ(io_.error(), EIO);
  }
  io_.SetTransfer(Io::Kind::kWrite, backing_.get(), vectors, 0, 1024);
  EXPECT_FALSE(io_.Advance(500));
  EXPECT_TRUE(io_.Advance(-ENOSPC));
  EXPECT_EQ(io_.error(), ENOSPC);
}

TEST_F(IoTest, DoesNotTryForEver) {
  io_.SetFlush(backing_.get());
  int tries = 1;
  while (!io_.Advance(-EAGAIN)) ++tries;
  EXPECT_EQ(tries, 101);
  EXPECT_EQ(io_.error(), EIO);
}

TEST_F(IoTest, ADiscardThatTheFileSystemCannotIsDone) {
  io_.SetRange(Io::Kind::kDiscard, backing_.get(), 0, 512, false);
  EXPECT_EQ(io_.NextCall().mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  EXPECT_TRUE(io_.Advance(-EOPNOTSUPP));
  EXPECT_EQ(io_.error(), 0);
  io_.SetRange(Io::Kind::kDiscard, backing_.get(), 0, 512, false);
  EXPECT_TRUE(io_.Advance(-EIO));
  EXPECT_EQ(io_.error(), EIO);
}

TEST_F(IoTest, ZeroesAreMadeInTheBestWayThereIs) {
  io_.SetRange(Io::Kind::kZero, backing_.get(), 0, 512, true);
  EXPECT_EQ(io_.NextCall().mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  EXPECT_FALSE(io_.Advance(-EOPNOTSUPP));
  EXPECT_EQ(io_.NextCall().mode, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
  EXPECT_FALSE(io_.Advance(-EOPNOTSUPP));
  EXPECT_EQ(Shape(io_.NextCall()), "0: 512");
  EXPECT_TRUE(io_.Advance(512));
  EXPECT_EQ(io_.error(), 0);
  EXPECT_TRUE(backing_->zeroes_by_writing());

  // From now on known: 1 MiB at once, then what is left, and all of it zero.
  const uint64_t length = (1 << 20) + 65536 + 1024;
  io_.SetRange(Io::Kind::kZero, backing_.get(), 512, length, false);
  uint64_t done = 0;
  std::string calls;
  do {
    const IoCall call = io_.NextCall();
    EXPECT_EQ(call.offset, 512 + done);
    uint64_t bytes = 0;
    for (const iovec& vector : call.vectors) {
      const auto* data = static_cast<const char*>(vector.iov_base);
      EXPECT_TRUE(std::all_of(data, data + vector.iov_len, [](char c) { return c == 0; }));
      bytes += vector.iov_len;
    }
    done += bytes;
    absl::StrAppend(&calls, bytes, " ");
  } while (!io_.Advance(static_cast<int64_t>(done - (io_.NextCall().offset - 512))));
  EXPECT_EQ(calls, "1048576 65536 1024 ");
  EXPECT_EQ(done, length);
}

}  // namespace
}  // namespace hearth::virtio::block
