// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/boot_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "runtime/resources/resource_test_base.h"

namespace hearth {
namespace {

constexpr char kPath[] = "/boot-source";

class BootSourceTest : public ResourceTest {
 protected:
  BootSourceTest() : kernel_(testing::TempDir() + "/vmlinux") {
    std::ofstream(kernel_) << "kernel";
  }

  const std::string kernel_;
};

TEST_F(BootSourceTest, KeepsWhatItIsGiven) {
  EXPECT_FALSE(config_.boot_source.has_value());
  const std::string body =
      absl::StrCat(R"({"kernel_image_path":")", kernel_, R"(","initrd_path":")", kernel_,
                   R"(","boot_args":"console=ttyS0","boot_protocol":"PVH"})");
  EXPECT_EQ(Put(kPath, body), "");
  ASSERT_TRUE(config_.boot_source.has_value());
  EXPECT_EQ(config_.boot_source->boot_protocol(), BootSource::BOOT_PROTOCOL_PVH);
  EXPECT_THAT(Get("/vm/config"), testing::HasSubstr(absl::StrCat("\"boot-source\":", body)));
  // The next PUT replaces it all.
  EXPECT_EQ(Put(kPath, absl::StrCat(R"({"kernel_image_path":")", kernel_, "\"}")), "");
  EXPECT_FALSE(config_.boot_source->has_boot_args());
}

TEST_F(BootSourceTest, FilesMustBeThere) {
  EXPECT_EQ(Put(kPath, R"({"kernel_image_path":"/no/such/kernel"})"),
            "boot-source: kernel_image_path: open /no/such/kernel: No such file or directory");
  EXPECT_EQ(Put(kPath, R"({"kernel_image_path":"/"})"),
            "boot-source: kernel_image_path: / is not a regular file");
  EXPECT_EQ(
      Put(kPath, absl::StrCat(R"({"kernel_image_path":")", kernel_, R"(","initrd_path":"/no"})")),
      "boot-source: initrd_path: open /no: No such file or directory");
  EXPECT_EQ(Put(kPath, R"({"kernel_image_path":""})"),
            "boot-source: kernel_image_path: got 0 bytes, must be a string of 1 to 4096 bytes");
  // A FIFO that nobody writes must not hold us up.
  const std::string fifo = testing::TempDir() + "/kernel_fifo";
  unlink(fifo.c_str());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(Put(kPath, absl::StrCat(R"({"kernel_image_path":")", fifo, "\"}")),
            absl::StrCat("boot-source: kernel_image_path: ", fifo, " is not a regular file"));
  EXPECT_FALSE(config_.boot_source.has_value());
}

TEST_F(BootSourceTest, ArgumentsArePrintable) {
  EXPECT_EQ(
      Put(kPath, absl::StrCat(R"({"kernel_image_path":")", kernel_, R"(","boot_args":"a\nb"})")),
      "boot-source: boot_args: must be printable ASCII");
  EXPECT_EQ(Put(kPath, absl::StrCat(R"({"kernel_image_path":")", kernel_, R"(","boot_args":")",
                                    std::string(2049, 'a'), "\"}")),
            "boot-source: boot_args: got 2049 bytes, must be a string of 0 to 2048 bytes");
}

TEST_F(BootSourceTest, IsFixedAfterTheStart) {
  machine_.current = MachineControl::State::kPaused;
  EXPECT_EQ(Put(kPath, absl::StrCat(R"({"kernel_image_path":")", kernel_, "\"}")), kTooLate);
}

TEST(BootSource, TheProtoTellsTheDefaultArguments) {
  std::ifstream file("runtime/resources/boot_source.proto");
  std::stringstream text;
  text << file.rdbuf();
  std::string flat = text.str();
  for (size_t at; (at = flat.find("\n  // ")) != std::string::npos;) flat.replace(at, 6, " ");
  EXPECT_THAT(flat, testing::HasSubstr(absl::StrCat("@default \"", kDefaultBootArgs, "\"")));
}

}  // namespace
}  // namespace hearth
