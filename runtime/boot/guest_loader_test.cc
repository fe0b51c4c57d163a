// SPDX-License-Identifier: Apache-2.0
// The whole of LoadGuest(): what a kernel would find in memory, by either protocol.
#include "runtime/boot/guest_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/boot/layout.h"
#include "runtime/boot/pvh.h"
#include "runtime/boot/test_compress.h"
#include "runtime/boot/test_images.h"
#include "runtime/boot/zero_page.h"

namespace hearth {
namespace {

using namespace boot;
using ::testing::HasSubstr;

constexpr uint64_t kMib = 1 << 20;

class GuestLoaderTest : public ::testing::Test {
 protected:
  std::unique_ptr<GuestMemory> memory_ = *GuestMemory::Create({.size_bytes = 32 * kMib});
  const TestFile kernel_{TestElf{.entry = 0x200000,
                                 .segments = {{0x200000, std::string(10000, 'k'), 0x10000},
                                              {0, PvhNote(0x200010), 0, PT_NOTE}}}
                             .Build()};
  GuestLoadOptions options_{.kernel_path = kernel_.path(),
                            .command_line = "console=ttyS0",
                            .mmio_devices = {{0xd0000000, 0x1000, 5}}};

  template <typename T>
  T Read(uint64_t at) {
    T value{};
    EXPECT_TRUE(memory_->Slice(GuestAddress(at), sizeof(T))->CopyOut(0, &value, sizeof(T)));
    return value;
  }
  std::string ReadString(uint64_t at) {
    std::string text;
    while (const char c = Read<char>(at + text.size())) text.push_back(c);
    return text;
  }
  std::string LoadError() {
    const auto entry = LoadGuest(*memory_, options_);
    EXPECT_FALSE(entry.ok());
    return std::string(entry.status().message());
  }
};

TEST_F(GuestLoaderTest, Linux64GuestFindsItsZeroPage) {
  const TestFile initrd(std::string(5000, 'i'));
  options_.initrd_path = initrd.path();
  const auto entry = LoadGuest(*memory_, options_);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->protocol, BootProtocol::kLinux64);
  EXPECT_EQ(entry->regs.rip, 0x200000u);
  EXPECT_EQ(entry->kernel_bytes_mapped, 2 * kPageSize);
  EXPECT_EQ(entry->kernel_bytes_copied, 10000 - 2 * kPageSize);
  kvm_sregs sregs{};
  entry->SetSregs(sregs);
  EXPECT_EQ(sregs.cs.l, 1);

  const auto params = Read<boot_params>(entry->regs.rsi);
  EXPECT_EQ(params.hdr.boot_flag, 0xaa55);
  EXPECT_EQ(params.hdr.header, 0x53726448u);
  EXPECT_EQ(params.hdr.type_of_loader, 0xff);
  EXPECT_EQ(params.sentinel, 0);
  EXPECT_EQ(ReadString(params.hdr.cmd_line_ptr), "console=ttyS0");
  EXPECT_EQ(params.hdr.ramdisk_size, 5000u);
  EXPECT_EQ(params.hdr.ramdisk_image, 32 * kMib - 2 * kPageSize);
  EXPECT_EQ(Read<char>(params.hdr.ramdisk_image), 'i');
  EXPECT_EQ(Read<char>(params.hdr.ramdisk_image + 4999), 'i');
  EXPECT_EQ(Read<char>(params.hdr.ramdisk_image + 5000), 0);
  EXPECT_EQ(params.acpi_rsdp_addr, layout::kAcpi.value());
  EXPECT_EQ(Read<uint64_t>(params.acpi_rsdp_addr), 0x2052545020445352u) << "RSD PTR";
  EXPECT_EQ(Read<uint32_t>(layout::kMpTable.value()), 0x5f504d5fu) << "_MP_";

  ASSERT_EQ(params.e820_entries, 4);
  const boot_e820_entry expected[] = {
      {0, 0x9fc00, 1}, {0x9fc00, 0x400, 2}, {0xe0000, 0x20000, 2}, {0x100000, 31 * kMib, 1}};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(params.e820_table[i].addr, expected[i].addr);
    EXPECT_EQ(params.e820_table[i].size, expected[i].size);
    EXPECT_EQ(params.e820_table[i].type, expected[i].type);
  }
}

TEST_F(GuestLoaderTest, PvhGuestFindsItsStartInfo) {
  const TestFile initrd("initrd");
  options_.initrd_path = initrd.path();
  options_.protocol = BootProtocol::kPvh;
  const auto entry = LoadGuest(*memory_, options_);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->protocol, BootProtocol::kPvh);
  EXPECT_EQ(entry->regs.rip, 0x200010u);
  kvm_sregs sregs{};
  entry->SetSregs(sregs);
  EXPECT_EQ(sregs.cr0 & 0x80000001, 1u);

  const auto info = Read<HvmStartInfo>(entry->regs.rbx);
  EXPECT_EQ(info.magic, 0x336ec578u);
  EXPECT_EQ(info.version, 1u);
  EXPECT_EQ(ReadString(info.command_line_gpa), "console=ttyS0");
  EXPECT_EQ(info.rsdp_gpa, layout::kAcpi.value());
  ASSERT_EQ(info.module_count, 1u);
  const auto module = Read<HvmModule>(info.modules_gpa);
  EXPECT_EQ(module.size_bytes, 6u);
  EXPECT_EQ(ReadString(module.start_gpa), "initrd");
  ASSERT_EQ(info.memory_map_entries, 4u);
  const auto last = Read<HvmMemoryMapEntry>(info.memory_map_gpa + 3 * sizeof(HvmMemoryMapEntry));
  EXPECT_EQ(last.start_gpa, kMib);
  EXPECT_EQ(last.size_bytes, 31 * kMib);
  EXPECT_EQ(last.type, 1u);
}

TEST_F(GuestLoaderTest, MemoryMapGoesAroundTheMmioHole) {
  memory_ = *GuestMemory::Create({.size_bytes = 4096 * kMib});
  const auto map = BuildMemoryMap(memory_->regions());
  ASSERT_EQ(map.size(), 5u);
  EXPECT_EQ(map[3].start + map[3].size_bytes, kMmioHoleStart);
  EXPECT_EQ(map[4].start, kMmioHoleEnd);
  EXPECT_EQ(map[4].size_bytes, 0x30000000u);
}

TEST_F(GuestLoaderTest, UnpacksABzImageAndKeepsItsHeader) {
  const std::string elf =
      TestElf{.entry = 0x300000, .segments = {{0x300000, std::string(9000, 'z')}}}.Build();
  for (const Compression compression : {Compression::kZstd, Compression::kNone}) {
    const TestFile image(TestBzImage{.payload = TestCompress(compression, elf),
                                     .uncompressed_size = static_cast<uint32_t>(elf.size())}
                             .Build());
    options_.kernel_path = image.path();
    const auto entry = LoadGuest(*memory_, options_);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->regs.rip, 0x300000u);
    EXPECT_EQ(Read<char>(0x300000 + 8999), 'z');
    EXPECT_EQ(Read<boot_params>(entry->regs.rsi).hdr.cmdline_size, 255u);
  }
}

TEST_F(GuestLoaderTest, EntersAnUnknownBzImageAsItIs) {
  const TestFile image(TestBzImage{.payload = "\x89LZO"}.Build());
  options_.kernel_path = image.path();
  const auto entry = LoadGuest(*memory_, options_);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->regs.rip, 0x1000200u);
}

TEST_F(GuestLoaderTest, TablesCanBeLeftOut) {
  options_.acpi = false;
  options_.mptable = false;
  const auto entry = LoadGuest(*memory_, options_);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(Read<boot_params>(entry->regs.rsi).acpi_rsdp_addr, 0u);
  EXPECT_EQ(Read<uint64_t>(layout::kAcpi.value()), 0u);
  EXPECT_EQ(Read<uint64_t>(layout::kMpTable.value()), 0u);
}

TEST_F(GuestLoaderTest, KernelErrorsNameTheFieldAndTheFile) {
  options_.kernel_path = "/does/not/exist";
  EXPECT_EQ(LoadError(),
            "kernel_image_path /does/not/exist: open /does/not/exist: No such file or directory");
  options_.kernel_path = "/dev/null";
  EXPECT_EQ(LoadError(), "kernel_image_path /dev/null: it is not a regular file");
  const TestFile text("#!/bin/sh");
  options_.kernel_path = text.path();
  EXPECT_THAT(LoadError(), HasSubstr("neither an ELF file nor a bzImage; give a vmlinux"));
  const TestFile no_pvh(TestElf{}.Build());
  options_.kernel_path = no_pvh.path();
  options_.protocol = BootProtocol::kPvh;
  EXPECT_THAT(LoadError(), HasSubstr("has no PVH entry point; build it with CONFIG_PVH"));
}

TEST_F(GuestLoaderTest, BootArgsErrorsNameTheLimit) {
  options_.command_line = std::string(2047, 'a');
  EXPECT_TRUE(LoadGuest(*memory_, options_).ok());
  options_.command_line += 'a';
  EXPECT_EQ(LoadError(),
            "boot_args: with what the machine adds, the command line has 2048 bytes and this "
            "kernel takes 2047; shorten it");
  options_.command_line = "a\nb";
  EXPECT_THAT(LoadError(), HasSubstr("boot_args: byte 1 is the control character 0xa"));
}

TEST_F(GuestLoaderTest, InitrdErrorsNameTheFieldAndTheRoom) {
  const TestFile empty("");
  options_.initrd_path = empty.path();
  EXPECT_THAT(LoadError(), HasSubstr("the file is empty"));
  EXPECT_THAT(LoadError(), HasSubstr("initrd_path /proc/self/fd/"));
  const TestFile large(std::string(31 * kMib, 'x'));
  options_.initrd_path = large.path();
  EXPECT_THAT(LoadError(), HasSubstr("its 32505856 bytes do not fit into the"));
  EXPECT_THAT(LoadError(), HasSubstr("raise mem_size_mib or give a smaller initrd"));
  options_.initrd_path = "/does/not/exist";
  EXPECT_THAT(LoadError(), HasSubstr("initrd_path /does/not/exist: open"));
}

TEST_F(GuestLoaderTest, InitrdStaysBelowWhatTheKernelReaches) {
  const TestFile initrd(std::string(100, 'i'));
  options_.initrd_path = initrd.path();
  const TestFile image(TestBzImage{
      .payload = "\x89LZO", .tweak = [](setup_header& h) {
        h.initrd_addr_max = 0x17fffff;
      }}.Build());
  options_.kernel_path = image.path();
  const auto entry = LoadGuest(*memory_, options_);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(Read<boot_params>(entry->regs.rsi).hdr.ramdisk_image, 0x17ff000u);
}

TEST_F(GuestLoaderTest, RefusesTooManyVcpusAndTooLittleMemory) {
  options_.vcpu_count = 65;
  EXPECT_THAT(LoadError(), HasSubstr("vcpu_count of 65; give 1 to 64"));
  options_.vcpu_count = 1;
  memory_ = *GuestMemory::Create({.size_bytes = kMib});
  EXPECT_THAT(LoadError(), HasSubstr("raise mem_size_mib"));
}

TEST_F(GuestLoaderTest, MarksWhatItWroteDirty) {
  memory_ = *GuestMemory::Create({.size_bytes = 32 * kMib, .track_dirty = true});
  ASSERT_TRUE(LoadGuest(*memory_, options_).ok());
  for (const uint64_t at : {layout::kZeroPage.value(), layout::kGdt.value(), layout::kAcpi.value(),
                            uint64_t{0x200000}, uint64_t{0x202000}}) {
    EXPECT_TRUE(memory_->dirty_bitmap()->IsDirty(at / kPageSize)) << std::hex << at;
  }
}

}  // namespace
}  // namespace hearth
