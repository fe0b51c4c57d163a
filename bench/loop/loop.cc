// SPDX-License-Identifier: Apache-2.0
// loop: what a wake-up, a read and the loop itself cost over epoll and over io_uring.
//
//   loop [--rounds N] [--wakes EPOLL|IO_URING N]
//
// Prints tables in Markdown; each time is the median of the rounds. --wakes only wakes one loop N
// times, for a look from outside: `strace -c -f loop --wakes io_uring 100000`.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace hearth::base {
namespace {

using std::chrono::steady_clock;

constexpr int kWakes = 100'000;
constexpr int kReads = 200'000;

std::unique_ptr<EventLoop> MakeLoop(bool io_uring,
                                    unsigned entries = EventLoop::Options().ring_entries) {
  auto loop = EventLoop::Create({.io_uring = io_uring, .ring_entries = entries});
  if (!loop.ok() || ((*loop)->ring() != nullptr) != io_uring) {
    std::fprintf(stderr, "loop: no such loop here: %s\n",
                 loop.ok() ? (*loop)->backend().c_str() : loop.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(loop);
}

// Of all threads: what others run on this machine does not show.
double CpuNs() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Cost {
  double ns;
  double enters;  // of the io_uring
};

uint64_t Enters(EventLoop* loop) { return loop->ring() != nullptr ? loop->ring()->enters() : 0; }

void Signal(EventLoop* loop, int fd) {
  if (loop->ring() != nullptr) {
    loop->ring()->SignalEventfd(fd);
  } else {
    eventfd_write(fd, 1);
  }
}

// A loop that is woken by an eventfd and signals it again, as a device is kicked and interrupts:
// its own costs, without those of the scheduler.
Cost WakeSelf(bool io_uring, int wakes) {
  auto loop = MakeLoop(io_uring);
  UniqueFd event(eventfd(1, EFD_NONBLOCK));
  int left = wakes;
  (void)loop->Add(event.get(), EPOLLIN | EPOLLET, [&](uint32_t) {
    if (--left == 0) return loop->Quit();
    Signal(loop.get(), event.get());
  });
  const double start = CpuNs();
  loop->Run();
  return {(CpuNs() - start) / wakes, static_cast<double>(Enters(loop.get())) / wakes};
}

// Two loops on two threads, each woken by the other: a round trip.
Cost WakeOther(bool io_uring, int wakes) {
  std::unique_ptr<EventLoop> loops[] = {MakeLoop(io_uring), MakeLoop(io_uring)};
  UniqueFd events[] = {UniqueFd(eventfd(1, EFD_NONBLOCK)), UniqueFd(eventfd(0, EFD_NONBLOCK))};
  int left = wakes;
  for (int i = 0; i < 2; ++i) {
    (void)loops[i]->Add(events[i].get(), EPOLLIN | EPOLLET, [&, i](uint32_t) {
      if (i == 0 && --left == 0) {
        loops[1]->Quit();
        return loops[0]->Quit();
      }
      Signal(loops[i].get(), events[1 - i].get());
    });
  }
  auto thread = Thread::Start("peer", [&] { loops[1]->Run(); });
  if (!thread.ok()) std::exit(1);
  const auto start = steady_clock::now();
  loops[0]->Run();
  const std::chrono::duration<double, std::nano> took = steady_clock::now() - start;
  thread->Join();
  return {took.count() / wakes,
          static_cast<double>(Enters(loops[0].get()) + Enters(loops[1].get())) / wakes};
}

// Reads 4 KiB of a file in the page cache, `depth` at a time; the next is asked for when one is
// done.
class Reader final : public IoOperation {
 public:
  Reader(EventLoop* loop, int fd, int* left) : loop_(loop), fd_(fd), left_(left) {}
  void Start() {
    offset_ = (offset_ + 4096 * 17) % (1 << 20);
    loop_->ring()->Readv(fd_, &vector_, 1, offset_, this);
  }
  void OnComplete(int32_t result) override {
    if (result != sizeof(buffer_)) std::exit(1);
    if (--*left_ == 0) return loop_->Quit();
    Start();
  }

 private:
  EventLoop* const loop_;
  const int fd_;
  int* const left_;
  uint64_t offset_ = 0;
  char buffer_[4096];
  const iovec vector_ = {buffer_, sizeof(buffer_)};
};

Cost Read(unsigned entries, int depth, int reads) {
  auto loop = MakeLoop(true, entries);
  UniqueFd file(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const std::string data(2 << 20, 'x');
  if (write(file.get(), data.data(), data.size()) != static_cast<ssize_t>(data.size()))
    std::exit(1);
  int left = reads;
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < depth; ++i)
    readers.push_back(std::make_unique<Reader>(loop.get(), file.get(), &left));
  loop->Post([&] {
    for (auto& reader : readers) reader->Start();
  });
  const double start = CpuNs();
  loop->Run();
  const Cost cost = {(CpuNs() - start) / reads, static_cast<double>(Enters(loop.get())) / reads};
  loop.reset();  // waits for the reads that are still under way
  return cost;
}

uint64_t PrivateDirtyKib() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;) {
    if (word == "Private_Dirty:") {
      uint64_t kib = 0;
      file >> kib;
      return kib;
    }
  }
  return 0;
}

// Private dirty memory of a loop that has run with a few watches. In a process of its own, so that
// nothing is there already; the average of many, as the heap grows by pages.
double LoopKib(bool io_uring, unsigned entries) {
  int fds[2];
  if (pipe(fds) != 0) std::exit(1);
  const pid_t child = fork();
  if (child == 0) {
    constexpr int kLoops = 64;
    std::vector<std::unique_ptr<EventLoop>> loops;
    std::vector<UniqueFd> events;
    loops.reserve(kLoops);
    const auto add = [&] {
      loops.push_back(MakeLoop(io_uring, entries));
      for (int i = 0; i < 4; ++i) {
        events.emplace_back(eventfd(0, EFD_NONBLOCK));
        (void)loops.back()->Add(events.back().get(), EPOLLIN | EPOLLET, [](uint32_t) {});
      }
      for (int i = 0; i < 1000; ++i) {
        Signal(loops.back().get(), events.back().get());
        loops.back()->RunUntil([] { return false; }, std::chrono::nanoseconds::zero());
      }
    };
    add();
    const uint64_t before = PrivateDirtyKib();
    for (int i = 1; i < kLoops; ++i) add();
    const double each = static_cast<double>(PrivateDirtyKib() - before) / (kLoops - 1);
    if (write(fds[1], &each, sizeof(each)) != sizeof(each)) _exit(1);
    _exit(0);
  }
  double kib = 0;
  if (read(fds[0], &kib, sizeof(kib)) != sizeof(kib)) std::exit(1);
  close(fds[0]);
  close(fds[1]);
  waitpid(child, nullptr, 0);
  return kib;
}

template <typename Measure>
Cost MedianCost(int rounds, Measure measure) {
  std::vector<double> ns, enters;
  for (int i = 0; i < rounds; ++i) {
    const Cost cost = measure();
    ns.push_back(cost.ns);
    enters.push_back(cost.enters);
  }
  return {Median(ns), Median(enters)};
}

void PrintTables(int rounds) {
  std::printf("| | epoll | io_uring |\n| --- | --- | --- |\n");
  const auto row = [&](const char* name, Cost (*measure)(bool, int)) {
    const Cost epoll = MedianCost(rounds, [&] { return measure(false, kWakes); });
    const Cost ring = MedianCost(rounds, [&] { return measure(true, kWakes); });
    std::printf("| %s, ns | %.0f | %.0f |\n", name, epoll.ns, ring.ns);
    std::printf("| io_uring_enter calls for 1000 of them | - | %.0f |\n", ring.enters * 1000);
  };
  row("wake by eventfd and signal it", WakeSelf);
  row("round trip between two loops", WakeOther);
  std::printf("| private dirty memory of a loop, KiB | %.1f | %.1f |\n\n", LoopKib(false, 1),
              LoopKib(true, EventLoop::Options().ring_entries));

  std::printf("| ring_entries | KiB | 4 KiB read, depth 1: ns / enters | 32 | 256 |\n");
  std::printf("| --- | --- | --- | --- | --- |\n");
  for (const unsigned entries : {16, 32, 64, 128, 256, 512}) {
    std::printf("| %u | %.1f |", entries, LoopKib(true, entries));
    for (const int depth : {1, 32, 256}) {
      const Cost cost = MedianCost(rounds, [&] { return Read(entries, depth, kReads); });
      std::printf(" %.0f / %.3f |", cost.ns, cost.enters);
    }
    std::printf("\n");
  }
}

int Measure(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 3 && arguments[0] == "--wakes") {
    WakeSelf(arguments[1] == "io_uring", std::atoi(arguments[2].c_str()));
    return 0;
  }
  if (arguments.empty() || (arguments.size() == 2 && arguments[0] == "--rounds")) {
    PrintTables(arguments.empty() ? 5 : std::atoi(arguments[1].c_str()));
    return 0;
  }
  std::fprintf(stderr, "usage: loop [--rounds N] [--wakes epoll|io_uring N]\n");
  return 2;
}

int Main(int argc, char** argv) {
  // The kernel looks a file up for less where no other thread may close it; a VMM has threads.
  UniqueFd never(eventfd(0, 0));
  auto idle = Thread::Start("idle", [&] {
    eventfd_t count;
    eventfd_read(never.get(), &count);
  });
  if (!idle.ok()) return 1;
  const int status = Measure(argc, argv);
  eventfd_write(never.get(), 1);
  idle->Join();
  return status;
}

}  // namespace
}  // namespace hearth::base

int main(int argc, char** argv) { return hearth::base::Main(argc, argv); }
