// SPDX-License-Identifier: Apache-2.0
#include "runtime/hypervisor/hypervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "runtime/hypervisor/kvm_ioctls_fake.h"
#include "runtime/hypervisor/kvm_list.h"

namespace hearth {
namespace {

using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class HypervisorTest : public testing::Test {
 protected:
  absl::StatusOr<Hypervisor> Open() { return Hypervisor::Open("/dev/kvm", &fake_); }
  absl::StatusOr<VmFd> MakeVm() { return Open()->CreateVm(); }
  KvmIoctlsFake fake_;
};

TEST_F(HypervisorTest, OpenErrorsSayWhatToDo) {
  fake_.open_result = -ENOENT;
  EXPECT_THAT(Message(Open().status()),
              HasSubstr("open /dev/kvm: No such file or directory; load a hypervisor module"));
  fake_.open_result = -EACCES;
  EXPECT_THAT(Message(Open().status()), HasSubstr("group that owns the node"));
  fake_.open_result = -ENODEV;
  EXPECT_THAT(Message(Open().status()), HasSubstr("module is not loaded"));
}

TEST_F(HypervisorTest, RefusesOtherNodesAndVersions) {
  fake_.On(KVM_GET_API_VERSION, [](void*) { return -ENOTTY; });
  EXPECT_THAT(Message(Open().status()), HasSubstr("/dev/kvm: not a KVM node"));
  fake_.On(KVM_GET_API_VERSION, [](void*) { return 11; });
  EXPECT_THAT(Message(Open().status()), HasSubstr("version 11"));
}

TEST_F(HypervisorTest, NamesEveryMissingCapability) {
  fake_.capabilities = {{KVM_CAP_IRQFD, 0}, {KVM_CAP_IMMEDIATE_EXIT, -EINVAL}};
  EXPECT_THAT(Message(Open().status()), HasSubstr("lacks KVM_CAP_IRQFD, KVM_CAP_IMMEDIATE_EXIT"));
}

TEST_F(HypervisorTest, GrowsTheCpuidListUntilItFits) {
  std::vector<uint32_t> rooms;
  fake_.On(kKvmGetSupportedCpuid, [&](void* arg) {
    KvmListHeader header;
    std::memcpy(&header, arg, sizeof(header));
    rooms.push_back(header.count);
    if (header.count < 300) return -E2BIG;
    header.count = 2;
    std::memcpy(arg, &header, sizeof(header));
    const kvm_cpuid_entry2 entries[] = {{.function = 0}, {.function = 0x40000000}};
    std::memcpy(static_cast<uint8_t*>(arg) + sizeof(header), entries, sizeof(entries));
    return 0;
  });
  const auto cpuid = Open()->SupportedCpuid();
  ASSERT_TRUE(cpuid.ok());
  EXPECT_EQ(cpuid->size(), 2u);
  EXPECT_EQ((*cpuid)[1].function, 0x40000000u);
  EXPECT_EQ(rooms, (std::vector<uint32_t>{128, 256, 512}));
}

TEST_F(HypervisorTest, CreateVmTriesAgainAfterASignal) {
  int calls = 0;
  fake_.On(KVM_CREATE_VM, [&](void*) { return ++calls == 1 ? -EINTR : KvmIoctlsFake::NewFd(); });
  EXPECT_TRUE(MakeVm().ok());
  EXPECT_EQ(calls, 2);
  fake_.On(KVM_CREATE_VM, [&](void*) { return -EBUSY; });
  EXPECT_THAT(Message(MakeVm().status()), HasSubstr("another hypervisor module"));
}

TEST_F(HypervisorTest, SetsOneMemorySlotARegion) {
  std::vector<kvm_userspace_memory_region> slots;
  fake_.On(KVM_SET_USER_MEMORY_REGION, [&](void* arg) {
    slots.push_back(*static_cast<kvm_userspace_memory_region*>(arg));
    return 0;
  });
  auto memory = GuestMemory::Create({.size_bytes = 4ull << 30});
  ASSERT_TRUE(memory.ok());
  ASSERT_TRUE(MakeVm()->SetMemory(**memory, true).ok());
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_EQ(slots[1].slot, 1u);
  EXPECT_EQ(slots[1].guest_phys_addr, kMmioHoleEnd.value());
  EXPECT_EQ(slots[1].flags, static_cast<uint32_t>(KVM_MEM_LOG_DIRTY_PAGES));
}

TEST_F(HypervisorTest, IoeventfdFlagsFollowItsArguments) {
  kvm_ioeventfd seen = {};
  fake_.On(KVM_IOEVENTFD, [&](void* arg) {
    seen = *static_cast<kvm_ioeventfd*>(arg);
    return 0;
  });
  auto vm = MakeVm();
  ASSERT_TRUE(vm->AddIoeventfd(5, VmFd::Space::kMmio, 0xd0001050, 4, 3).ok());
  EXPECT_EQ(seen.flags, static_cast<uint32_t>(KVM_IOEVENTFD_FLAG_DATAMATCH));
  EXPECT_EQ(seen.datamatch, 3u);
  ASSERT_TRUE(vm->RemoveIoeventfd(5, VmFd::Space::kPio, 0x50, 1, std::nullopt).ok());
  EXPECT_EQ(seen.flags,
            static_cast<uint32_t>(KVM_IOEVENTFD_FLAG_DEASSIGN | KVM_IOEVENTFD_FLAG_PIO));
}

TEST_F(HypervisorTest, IoctlErrorsNameTheirObject) {
  fake_.On(KVM_IRQFD, [](void*) { return -EINVAL; });
  EXPECT_EQ(Message(MakeVm()->AddIrqfd(3, 9)), "GSI 9: ioctl KVM_IRQFD: Invalid argument");
  fake_.On(KVM_CREATE_VCPU, [](void*) { return -EINVAL; });
  EXPECT_THAT(Message(MakeVm()->CreateVcpu(7).status()), HasSubstr("lower vcpu_count"));
}

TEST(KvmList, RequestsAreThoseOfTheKernel) {
  // From strace of C programs; <linux/kvm.h> gives others in C++.
  EXPECT_EQ(kKvmGetSupportedCpuid, 0xc008ae05u);
  EXPECT_EQ(kKvmSetMsrs, 0x4008ae89u);
  EXPECT_EQ(kKvmSetCpuid2, 0x4008ae90u);
}

TEST(KvmList, BelievesNoCountBeyondItsRoom) {
  KvmList<kvm_msr_entry> list(2);
  const uint32_t lie = 1000;
  std::memcpy(list.arg(), &lie, sizeof(lie));
  EXPECT_EQ(list.Entries().size(), 2u);
}

TEST_F(HypervisorTest, ARefusedMsrIsNamed) {
  fake_.On(kKvmSetMsrs, [](void*) { return 1; });
  auto vm = MakeVm();
  auto vcpu = vm->CreateVcpu(0);
  ASSERT_TRUE(vcpu.ok());
  const kvm_msr_entry msrs[] = {{.index = 0x10}, {.index = 0x2ff}};
  EXPECT_THAT(Message(vcpu->SetMsrs(msrs)), HasSubstr("MSR 0x2ff was refused"));
}

TEST_F(HypervisorTest, PioDataStaysInsideTheSharedPage) {
  auto vm = MakeVm();
  auto vcpu = vm->CreateVcpu(0);
  ASSERT_TRUE(vcpu.ok());
  vcpu->run().io.size = 2;
  vcpu->run().io.count = 3;
  vcpu->run().io.data_offset = 4096;
  EXPECT_EQ(vcpu->PioData().size(), 6u);
  vcpu->run().io.data_offset = KvmIoctlsFake::kRunSize - 5;
  EXPECT_TRUE(vcpu->PioData().empty());
}

}  // namespace
}  // namespace hearth
