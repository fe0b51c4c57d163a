// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/vcpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "runtime/hypervisor/hypervisor.h"
#include "runtime/hypervisor/kvm_ioctls_fake.h"

namespace hearth {
namespace {

using testing::HasSubstr;

class RecordingDevice : public BusDevice {
 public:
  absl::string_view name() const override { return "recorder"; }
  void Read(uint64_t offset, absl::Span<uint8_t> data) override {
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(0x40 + offset);
  }
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override {
    log.push_back({offset, std::vector<uint8_t>(data.begin(), data.end())});
  }
  std::vector<std::pair<uint64_t, std::vector<uint8_t>>> log;
};

class VcpuTest : public testing::Test {
 protected:
  void SetUp() override {
    Bus::Builder pio, mmio;
    ASSERT_TRUE(pio.Add(0x100, 16, &device_).ok());
    ASSERT_TRUE(mmio.Add(0xd0000000, 0x1000, &device_).ok());
    pio_ = std::move(pio).Build();
    mmio_ = std::move(mmio).Build();
  }

  void MakeSet(uint32_t count) {
    auto hypervisor = Hypervisor::Open("/dev/kvm", &fake_);
    auto vm = hypervisor->CreateVm();
    std::vector<VcpuFd> fds;
    for (uint32_t id = 0; id < count; ++id) {
      auto fd = vm->CreateVcpu(id);
      ASSERT_TRUE(fd.ok());
      fds.push_back(*std::move(fd));
    }
    set_ = std::make_unique<VcpuSet>(std::move(fds), pio_, mmio_, [this](VcpuStop stop) {
      stop_ = std::move(stop);
      stopped_.Notify();
    });
    ASSERT_TRUE(set_->Start().ok());
  }

  // A guest that computes: KVM_RUN comes back only when it is kicked.
  static int RunUntilKicked(kvm_run& run) {
    while (!std::atomic_ref<uint8_t>(run.immediate_exit).load())
      absl::SleepFor(absl::Microseconds(50));
    return -EINTR;
  }

  KvmIoctlsFake fake_;
  RecordingDevice device_;
  Bus pio_, mmio_;
  std::unique_ptr<VcpuSet> set_;
  VcpuStop stop_;
  absl::Notification stopped_;
};

TEST_F(VcpuTest, StartsPausedAndStopsEveryVcpuBeforePauseReturns) {
  std::atomic<int> inside = 0, entries = 0;
  fake_.on_run = [&](kvm_run& run) {
    ++inside;
    ++entries;
    const int result = RunUntilKicked(run);
    --inside;
    return result;
  };
  MakeSet(4);
  EXPECT_EQ(entries, 0);
  for (int round = 0; round < 20; ++round) {
    set_->Resume();
    set_->Pause();
    EXPECT_EQ(inside, 0);
  }
  set_->Resume();
  while (inside < 4) absl::SleepFor(absl::Microseconds(50));
  set_->Pause();
  EXPECT_EQ(inside, 0);
  set_->Pause();  // again: no effect
}

TEST_F(VcpuTest, EndsCleanlyWhileRunning) {
  fake_.on_run = RunUntilKicked;
  MakeSet(3);
  set_->Resume();
  set_.reset();
}

TEST_F(VcpuTest, HandsAccessesToTheBusesAndCompletesThemBeforeAPause) {
  std::atomic<int> step = 0;
  std::vector<uint8_t> read_back;
  fake_.on_run = [&](kvm_run& run) {
    switch (step++) {
      case 0:  // outsw, two words
        run.exit_reason = KVM_EXIT_IO;
        run.io = {.direction = KVM_EXIT_IO_OUT,
                  .size = 2,
                  .port = 0x104,
                  .count = 2,
                  .data_offset = 4096};
        std::memcpy(reinterpret_cast<uint8_t*>(&run) + 4096, "abcd", 4);
        return 0;
      case 1:
        run.exit_reason = KVM_EXIT_MMIO;
        run.mmio.phys_addr = 0xd0000008;
        run.mmio.len = 4;
        run.mmio.is_write = 0;
        return 0;
      case 2:
        read_back.assign(run.mmio.data, run.mmio.data + 4);
        run.mmio.phys_addr = 0xd0000010;
        run.mmio.len = 200;  // a lying hypervisor
        run.mmio.is_write = 1;
        return 0;
      case 3:
        run.exit_reason = KVM_EXIT_IO;  // nobody there: reads ones
        run.io = {
            .direction = KVM_EXIT_IO_IN, .size = 1, .port = 0x999, .count = 1, .data_offset = 4096};
        return 0;
      case 4:
        EXPECT_EQ(reinterpret_cast<uint8_t*>(&run)[4096], 0xff);
        run.exit_reason = KVM_EXIT_SHUTDOWN;
        return 0;
      default:
        ADD_FAILURE() << "entered again after a shutdown";
        return -EINTR;
    }
  };
  MakeSet(1);
  set_->Resume();
  stopped_.WaitForNotification();
  EXPECT_TRUE(stop_.is_shutdown);
  EXPECT_THAT(stop_.registers, HasSubstr("rip="));
  set_->Pause();  // a vCPU that is gone does not hold the others up
  ASSERT_EQ(device_.log.size(), 3u);
  EXPECT_EQ(device_.log[0].second, (std::vector<uint8_t>{'a', 'b'}));
  EXPECT_EQ(device_.log[1].second, (std::vector<uint8_t>{'c', 'd'}));
  EXPECT_EQ(device_.log[2].second.size(), 8u);
  EXPECT_EQ(read_back, std::vector<uint8_t>(4, 0x48));
}

TEST_F(VcpuTest, ReportsWhatEndsAVcpu) {
  fake_.on_run = [](kvm_run& run) {
    run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    run.internal.ndata = 1000;  // more than there is room for
    return 0;
  };
  MakeSet(1);
  set_->Resume();
  stopped_.WaitForNotification();
  EXPECT_FALSE(stop_.is_shutdown);
  EXPECT_THAT(stop_.reason,
              HasSubstr("vCPU 0 stopped: KVM_EXIT_INTERNAL_ERROR, suberror 1 (emulation"));
}

TEST_F(VcpuTest, ReportsAFailedEntryAndAFailedIoctl) {
  fake_.on_run = [](kvm_run&) { return -EFAULT; };
  MakeSet(1);
  set_->Resume();
  stopped_.WaitForNotification();
  EXPECT_EQ(stop_.reason, "ioctl KVM_RUN of vCPU 0: Bad address");
}

TEST_F(VcpuTest, TriesAgainAfterEagain) {
  std::atomic<int> runs = 0;
  fake_.on_run = [&](kvm_run& run) {
    if (++runs < 3) return -EAGAIN;
    run.exit_reason = KVM_EXIT_FAIL_ENTRY;
    run.fail_entry.hardware_entry_failure_reason = 0x80000021;
    return 0;
  };
  MakeSet(1);
  set_->Resume();
  stopped_.WaitForNotification();
  EXPECT_THAT(stop_.reason,
              HasSubstr("KVM_EXIT_FAIL_ENTRY, hardware entry failure reason 0x80000021"));
}

}  // namespace
}  // namespace hearth
