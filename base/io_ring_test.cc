// SPDX-License-Identifier: Apache-2.0
#include "base/io_ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "base/unique_fd.h"

namespace hearth::base {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Keeps the results that it gets.
struct Recorder : IoOperation {
  void OnComplete(int32_t result) override {
    results.push_back(result);
    if (then) then();
  }
  std::vector<int32_t> results;
  absl::AnyInvocable<void()> then;
};

// The kernel's worker threads of this process.
int Workers() {
  int workers = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    workers += name.starts_with("iou-wrk");
  }
  return workers;
}

class IoRingTest : public testing::TestWithParam<IoRing::Mode> {
 protected:
  void SetUp() override { Open(16); }

  void Open(unsigned entries) {
    auto ring = IoRing::Create(entries, GetParam());
    if (!ring.ok() || (*ring)->mode() != GetParam()) {
      GTEST_SKIP() << "skipped, because this kernel has no such ring: " << ring.status();
    }
    ring_ = *std::move(ring);
    ASSERT_TRUE(ring_->Enable().ok());
  }

  void Await(const Recorder& recorder, size_t count = 1) {
    const auto end = steady_clock::now() + std::chrono::seconds(30);
    while (recorder.results.size() < count && steady_clock::now() < end) {
      ring_->SubmitAndWait(milliseconds(100));
      ring_->Reap();
    }
    ASSERT_EQ(recorder.results.size(), count);
  }

  io_uring* raw() { return &ring_->ring_; }
  static void Complete(IoRing* ring, IoOperation* operation, int32_t result, uint32_t flags) {
    ring->Complete({operation, result, flags});
  }

  // An entry that the header does not offer; its result.
  int32_t SubmitRaw(absl::FunctionRef<void(io_uring_sqe*)> prepare) {
    Recorder recorder;
    io_uring_sqe* sqe = io_uring_get_sqe(raw());
    prepare(sqe);
    io_uring_sqe_set_data(sqe, &recorder);
    Await(recorder);
    return recorder.results.empty() ? 0 : recorder.results[0];
  }

  std::unique_ptr<IoRing> ring_;
};
std::string ModeName(const testing::TestParamInfo<IoRing::Mode>& info) {
  switch (info.param) {
    case IoRing::Mode::kDeferTaskrun:
      return "DeferTaskrun";
    case IoRing::Mode::kCoopTaskrun:
      return "CoopTaskrun";
    case IoRing::Mode::kPlain:
      return "Plain";
  }
  return "";
}
INSTANTIATE_TEST_SUITE_P(Modes, IoRingTest,
                         testing::Values(IoRing::Mode::kDeferTaskrun, IoRing::Mode::kCoopTaskrun,
                                         IoRing::Mode::kPlain),
                         ModeName);

UniqueFd TemporaryFile() {
  return UniqueFd(open(testing::TempDir().c_str(), O_TMPFILE | O_RDWR, 0600));
}

TEST_P(IoRingTest, WritesSyncsPunchesAndReads) {
  UniqueFd file = TemporaryFile();
  ASSERT_TRUE(file.valid());
  std::string head(4096, 'a'), tail(4096, 'b');
  const iovec out[] = {{head.data(), head.size()}, {tail.data(), tail.size()}};
  Recorder write, sync, punch, read;
  ring_->Writev(file.get(), out, 2, 4096, &write);
  EXPECT_TRUE(ring_->pending());
  EXPECT_EQ(ring_->in_flight(), 1u);
  Await(write);
  EXPECT_EQ(write.results[0], 8192);
  EXPECT_FALSE(ring_->pending());
  EXPECT_EQ(ring_->in_flight(), 0u);

  ring_->Fdatasync(file.get(), &sync);
  Await(sync);
  EXPECT_EQ(sync.results[0], 0);

  ring_->Fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096, &punch);
  Await(punch);
  EXPECT_EQ(punch.results[0], 0);

  const iovec in[] = {{head.data(), head.size()}, {tail.data(), tail.size()}};
  ring_->Readv(file.get(), in, 2, 4096, &read);
  Await(read);
  EXPECT_EQ(read.results[0], 8192);
  EXPECT_EQ(head, std::string(4096, '\0'));
  EXPECT_EQ(tail, std::string(4096, 'b'));
  EXPECT_LE(Workers(), 8 + 2);
}

TEST_P(IoRingTest, TellsErrors) {
  char byte;
  const iovec vector = {&byte, 1};
  Recorder bad, good;
  ring_->Readv(-1, &vector, 1, 0, &bad);
  UniqueFd zero(open("/dev/zero", O_RDONLY));
  ring_->Readv(zero.get(), &vector, 1, 0, &good);
  Await(bad);
  Await(good);
  EXPECT_EQ(bad.results[0], -EBADF);
  EXPECT_EQ(good.results[0], 1);
}

TEST_P(IoRingTest, OperationMayBeUsedAgainWhenItCompletes) {
  char byte;
  const iovec vector = {&byte, 1};
  UniqueFd zero(open("/dev/zero", O_RDONLY));
  Recorder read;
  read.then = [&] {
    if (read.results.size() < 100) ring_->Readv(zero.get(), &vector, 1, 0, &read);
  };
  ring_->Readv(zero.get(), &vector, 1, 0, &read);
  Await(read, 100);
}

// The signal is there when io_uring_enter returns: no thread of the kernel had to be started.
TEST_P(IoRingTest, SignalsEventfdInTheSameSystemCall) {
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  const int workers = Workers();
  const uint64_t enters = ring_->enters();
  for (int i = 0; i < 3; ++i) ring_->SignalEventfd(event.get());
  ring_->SubmitAndWait(nanoseconds::zero());
  EXPECT_EQ(ring_->enters(), enters + 1);
  uint64_t count = 0;
  EXPECT_EQ(eventfd_read(event.get(), &count), 0);
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(Workers(), workers);
  // Not even a completion to reap.
  if (raw()->features & IORING_FEAT_CQE_SKIP) {
    EXPECT_FALSE(ring_->Reap());
  }
}

TEST_P(IoRingTest, CancelledOperationCompletes) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  char byte;
  const iovec vector = {&byte, 1};
  Recorder read;
  ring_->Readv(read_end.get(), &vector, 1, 0, &read);
  ring_->SubmitAndWait(nanoseconds::zero());
  ring_->Reap();
  EXPECT_EQ(ring_->in_flight(), 1u);
  ring_->Cancel(&read);
  Await(read);
  EXPECT_EQ(read.results[0], -ECANCELED);
  ring_->Cancel(&read);  // nothing to cancel
  ring_->SubmitAndWait(nanoseconds::zero());
  ring_->Reap();
  EXPECT_EQ(ring_->in_flight(), 0u);
}

TEST_P(IoRingTest, MayDoOnlyWhatTheHeaderOffers) {
  EXPECT_EQ(SubmitRaw([](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); }), -EACCES);
  EXPECT_EQ(SubmitRaw([](io_uring_sqe* sqe) {
              io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
            }),
            -EACCES);
  EXPECT_EQ(SubmitRaw([](io_uring_sqe* sqe) { io_uring_prep_connect(sqe, 0, nullptr, 0); }),
            -EACCES);
  // Nor an allowed operation with other flags: to be done by a worker thread.
  EXPECT_EQ(SubmitRaw([](io_uring_sqe* sqe) {
              io_uring_prep_fsync(sqe, 0, 0);
              sqe->flags |= IOSQE_ASYNC;
            }),
            -EACCES);
  // Nor change the ring.
  int fd = 0;
  EXPECT_EQ(io_uring_register_files(raw(), &fd, 1), -EACCES);
  unsigned workers[] = {100, 100};
  EXPECT_EQ(io_uring_register_iowq_max_workers(raw(), workers), -EACCES);
}

TEST_P(IoRingTest, NothingRunsBeforeItIsEnabled) {
  auto ring = IoRing::Create(4, GetParam());
  ASSERT_TRUE(ring.ok());
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  (*ring)->SignalEventfd(event.get());
  EXPECT_DEATH((*ring)->SubmitAndWait(nanoseconds::zero()), "enabled_");
}

// Far more than the queues hold, without a look at the completions.
TEST_P(IoRingTest, FullQueuesLoseNothing) {
  Open(2);
  UniqueFd zero(open("/dev/zero", O_RDONLY));
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  Recorder poll;
  ring_->PollMultishot(event.get(), POLLIN, &poll);
  char byte;
  const iovec vector = {&byte, 1};
  std::vector<Recorder> reads(100);
  for (Recorder& read : reads) {
    ring_->Readv(zero.get(), &vector, 1, 0, &read);
    ring_->SignalEventfd(event.get());
  }
  for (const Recorder& read : reads) {
    Await(read);
    EXPECT_EQ(read.results[0], 1);
  }
  uint64_t count = 0;
  EXPECT_EQ(eventfd_read(event.get(), &count), 0);
  EXPECT_EQ(count, 100u);
  ASSERT_GT(poll.results.size(), 0u);
  EXPECT_EQ(poll.results[0], POLLIN);
}

TEST_P(IoRingTest, MultishotPollTellsEverySignalAndItsEnd) {
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  Recorder poll;
  ring_->PollMultishot(event.get(), POLLIN, &poll);
  for (size_t i = 1; i <= 10; ++i) {
    ring_->SubmitAndWait(nanoseconds::zero());
    ASSERT_EQ(eventfd_write(event.get(), 1), 0);
    Await(poll, i);
    EXPECT_EQ(poll.results.back(), POLLIN);
  }
  EXPECT_EQ(ring_->in_flight(), 0u);
  ring_->Cancel(&poll);
  Await(poll, 11);
  EXPECT_EQ(poll.results.back(), -ECANCELED);
}

TEST_P(IoRingTest, MultishotPollThatTheKernelGaveUpEndsWithEnobufs) {
  auto ring = IoRing::Create(4, GetParam());
  ASSERT_TRUE(ring.ok());
  Recorder poll;
  (*ring)->PollMultishot(0, POLLIN, &poll);
  Complete(ring->get(), &poll, POLLIN, IORING_CQE_F_MORE);
  Complete(ring->get(), &poll, POLLIN, 0);
  EXPECT_EQ(poll.results, (std::vector<int32_t>{POLLIN, POLLIN, -ENOBUFS}));
}

TEST_P(IoRingTest, OnePollCompletesOnce) {
  UniqueFd event(eventfd(1, EFD_NONBLOCK));
  Recorder poll;
  ring_->PollOnce(event.get(), POLLIN, &poll);
  Await(poll);
  ASSERT_EQ(eventfd_write(event.get(), 1), 0);
  ring_->SubmitAndWait(milliseconds(1));
  EXPECT_FALSE(ring_->Reap());
}

TEST_P(IoRingTest, WaitsNoShorterThanAsked) {
  for (const nanoseconds wait : {nanoseconds(1), nanoseconds(300'001), nanoseconds(2'000'000)}) {
    const auto start = steady_clock::now();
    ring_->SubmitAndWait(wait);
    EXPECT_GE(steady_clock::now() - start, wait);
  }
}

TEST_P(IoRingTest, GoesWithOperationsInFlight) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  char byte;
  const iovec vector = {&byte, 1};
  Recorder reads[5];
  for (Recorder& read : reads) ring_->Readv(read_end.get(), &vector, 1, 0, &read);
  UniqueFd event(eventfd(0, EFD_NONBLOCK));
  Recorder poll;
  ring_->PollMultishot(event.get(), POLLIN, &poll);
  ring_->SubmitAndWait(nanoseconds::zero());
  ring_.reset();
  for (Recorder& read : reads) EXPECT_TRUE(read.results.empty());
}

TEST_P(IoRingTest, MustNotGoElsewhereWithOperationsInFlight) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto die = [this] {
    Open(4);
    int fds[2];
    if (pipe(fds) != 0) return;
    char byte;
    const iovec vector = {&byte, 1};
    Recorder read;
    ring_->Readv(fds[0], &vector, 1, 0, &read);
    ring_->SubmitAndWait(nanoseconds::zero());
    std::thread([this] { ring_.reset(); }).join();
  };
  EXPECT_DEATH(die(), "this_thread");
}

}  // namespace hearth::base
