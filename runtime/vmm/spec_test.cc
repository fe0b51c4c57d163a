// SPDX-License-Identifier: Apache-2.0
#include "runtime/vmm/spec.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(SpecFromConfig, WantsABootSource) {
  const auto spec = SpecFromConfig(VmConfig());
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(spec.status().message().find("/boot-source"), absl::string_view::npos);
}

TEST(SpecFromConfig, FillsInDefaults) {
  VmConfig config;
  config.boot_source.emplace().set_kernel_image_path("/k");
  const auto spec = SpecFromConfig(config);
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->memory.size_bytes, 128u << 20);
  EXPECT_EQ(spec->cpus.vcpu_count, 1u);
  EXPECT_EQ(spec->load.command_line, kDefaultBootArgs);
  EXPECT_EQ(spec->load.protocol, BootProtocol::kAuto);
  EXPECT_EQ(spec->platform.serial_out_path, "");
}

TEST(SpecFromConfig, TakesWhatWasGiven) {
  VmConfig config;
  config.machine.set_vcpu_count(4);
  config.machine.set_smt(true);
  config.machine.set_mem_size_mib(512);
  config.machine.set_track_dirty_pages(true);
  config.machine.set_io_threads(3);
  config.machine.set_huge_pages(MachineConfig::HUGE_PAGES_2M);
  BootSource& boot = config.boot_source.emplace();
  boot.set_kernel_image_path("/k");
  boot.set_initrd_path("/i");
  boot.set_boot_args("");
  boot.set_boot_protocol(BootSource::BOOT_PROTOCOL_PVH);
  SerialConfig& serial = config.serial.emplace();
  serial.set_serial_out_path("/log");
  serial.mutable_rate_limiter()->set_size(10);
  serial.mutable_rate_limiter()->set_refill_time(1000);
  const auto spec = SpecFromConfig(config);
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->cpus.vcpu_count, 4u);
  EXPECT_EQ(spec->io_threads, 3u);
  EXPECT_EQ(spec->load.vcpu_count, 4u);
  EXPECT_TRUE(spec->cpus.smt);
  EXPECT_TRUE(spec->log_dirty_pages);
  EXPECT_EQ(spec->memory.pages, GuestMemory::Pages::kHugetlb2M);
  EXPECT_EQ(spec->load.initrd_path, "/i");
  EXPECT_EQ(spec->load.command_line, "") << "an empty command line is not a missing one";
  EXPECT_EQ(spec->load.protocol, BootProtocol::kPvh);
  EXPECT_EQ(spec->platform.serial_out_path, "/log");
  EXPECT_EQ(spec->platform.serial_rate_limit.size, 10u);
  EXPECT_EQ(spec->platform.serial_rate_limit.refill_time_ms, 1000u);
}

TEST(AddKernelArguments, GoesBeforeWhatIsForInit) {
  std::string plain = "console=ttyS0";
  AddKernelArguments(" root=/dev/vda", &plain);
  EXPECT_EQ(plain, "console=ttyS0 root=/dev/vda");
  std::string with_init = "quiet -- --verbose";
  AddKernelArguments(" root=/dev/vda", &with_init);
  EXPECT_EQ(with_init, "quiet root=/dev/vda -- --verbose");
}

}  // namespace
}  // namespace hearth
