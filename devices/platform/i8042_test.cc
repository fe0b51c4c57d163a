// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/i8042.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "devices/platform/irq_counter.h"

namespace hearth {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr uint8_t kOutputFull = 0x01, kSystem = 0x04, kAuxData = 0x20;

class I8042Test : public testing::Test {
 protected:
  I8042Test() : i8042_(MakeIrqLine(), [this] { ++resets_; }) {}

  uint8_t In(uint64_t port) {
    uint8_t value = 0;
    i8042_.Read(port - I8042::kPort, absl::MakeSpan(&value, 1));
    return value;
  }
  void Out(uint64_t port, uint8_t value) {
    i8042_.Write(port - I8042::kPort, absl::MakeSpan(&value, 1));
  }
  // Reads until the output buffer is empty.
  Bytes Drain() {
    Bytes all;
    while (In(0x64) & kOutputFull) all.push_back(In(0x60));
    return all;
  }
  // A command of the controller, with or without a parameter, and its answer.
  Bytes Command(uint8_t command) {
    Out(0x64, command);
    return Drain();
  }
  Bytes Command(uint8_t command, uint8_t parameter) {
    Out(0x64, command);
    Out(0x60, parameter);
    return Drain();
  }
  Bytes Keyboard(uint8_t byte) {
    Out(0x60, byte);
    return Drain();
  }
  uint64_t Interrupts() { return TakeInterrupts(i8042_.irq()); }

  int resets_ = 0;
  I8042 i8042_;
};

TEST_F(I8042Test, StartsAsFirmwareLeavesIt) {
  EXPECT_EQ(In(0x64) & (kOutputFull | kSystem), kSystem);
  EXPECT_EQ(Command(0x20), (Bytes{0x65}));
}

// Linux's i8042_controller_init(), i8042_controller_selftest(), i8042_check_aux() and
// atkbd_probe(), in their order.
TEST_F(I8042Test, LinuxFindsAKeyboardAndNoMouse) {
  EXPECT_EQ(Drain(), Bytes{});  // i8042_flush()
  EXPECT_EQ(Command(0xaa), (Bytes{0x55}));
  const uint8_t initial = Command(0x20)[0];
  EXPECT_EQ(Command(0x20)[0], initial);
  EXPECT_NE(In(0x64) & 0x10, 0);  // keyboard not locked
  EXPECT_NE(initial & 0x40, 0);   // translating
  const uint8_t quiet = (initial | 0x10) & ~0x01;
  Command(0x60, quiet);
  EXPECT_EQ(Command(0x20), (Bytes{quiet}));
  Interrupts();

  // The loop through the second port: must answer at once, and not as from there.
  Out(0x64, 0xd3);
  Out(0x60, 0x5a);
  EXPECT_EQ(In(0x64) & (kOutputFull | kAuxData), kOutputFull);
  EXPECT_NE(In(0x60), 0x5a);
  const Bytes aux_test = Command(0xa9);
  ASSERT_EQ(aux_test.size(), 1u);
  EXPECT_TRUE(aux_test[0] != 0 && aux_test[0] != 0xfa && aux_test[0] != 0xff);
  EXPECT_EQ(Interrupts(), 0u);

  const uint8_t enabled = (quiet | 0x01) & ~0x10;
  Command(0x60, enabled);
  EXPECT_EQ(Keyboard(0xf2), (Bytes{0xfa, 0xab, 0x41}));
  EXPECT_EQ(Keyboard(0xf5), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0xed), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0x00), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0xf3), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0x00), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0xf4), (Bytes{0xfa}));
  EXPECT_GT(Interrupts(), 0u);
  EXPECT_EQ(resets_, 0);
}

TEST_F(I8042Test, KeyboardCommands) {
  EXPECT_EQ(Keyboard(0xff), (Bytes{0xfa, 0xaa}));
  EXPECT_EQ(Keyboard(0xee), (Bytes{0xee}));
  EXPECT_EQ(Keyboard(0xfe), (Bytes{0xee}));
  EXPECT_EQ(Keyboard(0xf0), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0), (Bytes{0xfa, 2}));
  EXPECT_EQ(Keyboard(0xf0), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(3), (Bytes{0xfe}));
  EXPECT_EQ(Keyboard(0xf0), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(1), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0xf0), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0), (Bytes{0xfa, 1}));
  EXPECT_EQ(Keyboard(0xea), (Bytes{0xfe}));
  EXPECT_EQ(Keyboard(0x42), (Bytes{0xfe}));
  // A command in the place of a parameter is a command.
  EXPECT_EQ(Keyboard(0xed), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0xf6), (Bytes{0xfa}));
  Command(0x60, 0x05);  // no translation
  EXPECT_EQ(Keyboard(0xf2), (Bytes{0xfa, 0xab, 0x83}));
}

TEST_F(I8042Test, ResetByPulseOrOutputPort) {
  Out(0x64, 0xfe);
  EXPECT_EQ(resets_, 1);
  Out(0x64, 0xf0);
  EXPECT_EQ(resets_, 2);
  Out(0x64, 0xff);
  EXPECT_EQ(resets_, 2);
  Command(0xd1, 0x03);
  EXPECT_EQ(resets_, 2);
  Command(0xd1, 0x02);
  EXPECT_EQ(resets_, 3);
  Out(0x60, 0xfe);  // to the keyboard
  EXPECT_EQ(resets_, 3);
  EXPECT_EQ(i8042_.metrics().resets, 3u);
}

TEST_F(I8042Test, CtrlAltDelArrivesOneByteAnInterrupt) {
  ASSERT_TRUE(i8042_.SendCtrlAltDel().ok());
  Bytes received;
  while (Interrupts() == 1) {
    EXPECT_EQ(In(0x64) & kOutputFull, kOutputFull);
    received.push_back(In(0x60));
  }
  EXPECT_EQ(received, (Bytes{0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d}));
  EXPECT_EQ(In(0x64) & kOutputFull, 0);
}

TEST_F(I8042Test, CtrlAltDelUntranslated) {
  Command(0x60, 0x05);
  ASSERT_TRUE(i8042_.SendCtrlAltDel().ok());
  EXPECT_EQ(Drain(), (Bytes{0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14}));
}

TEST_F(I8042Test, CtrlAltDelNeedsAKeyboardInUse) {
  Command(0x60, 0x64);  // no interrupt
  EXPECT_EQ(i8042_.SendCtrlAltDel().code(), absl::StatusCode::kFailedPrecondition);
  Command(0x60, 0x75);  // keyboard off
  EXPECT_EQ(i8042_.SendCtrlAltDel().code(), absl::StatusCode::kFailedPrecondition);
  Command(0x60, 0x65);
  Keyboard(0xf5);  // not scanning
  EXPECT_EQ(i8042_.SendCtrlAltDel().code(), absl::StatusCode::kFailedPrecondition);
  Keyboard(0xf4);
  EXPECT_TRUE(i8042_.SendCtrlAltDel().ok());
  EXPECT_TRUE(i8042_.SendCtrlAltDel().ok());
  EXPECT_FALSE(i8042_.SendCtrlAltDel().ok());  // nobody reads
  EXPECT_EQ(Drain().size(), 16u);
  EXPECT_TRUE(i8042_.SendCtrlAltDel().ok());
}

TEST_F(I8042Test, AKeyboardThatIsOffKeepsItsBytesUntilItIsOn) {
  ASSERT_TRUE(i8042_.SendCtrlAltDel().ok());
  EXPECT_EQ(In(0x60), 0x1d);
  EXPECT_EQ(In(0x60), 0x38);  // the third byte is in the output buffer now
  Out(0x64, 0xad);
  EXPECT_EQ(In(0x60), 0xe0);
  EXPECT_EQ(In(0x64) & kOutputFull, 0);
  EXPECT_EQ(Command(0x20), (Bytes{0x75}));  // the controller answers
  Out(0x64, 0xae);
  EXPECT_EQ(Drain().size(), 5u);
}

TEST_F(I8042Test, EnablingTheInterruptAnnouncesAFullBuffer) {
  Command(0x60, 0x64);
  Out(0x60, 0xee);
  EXPECT_EQ(Interrupts(), 0u);
  Out(0x64, 0x60);
  Out(0x60, 0x65);
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(Drain(), (Bytes{0xee}));
}

TEST_F(I8042Test, OtherPortsAndSizesAreHarmless) {
  uint8_t wide[4] = {};
  i8042_.Read(0, absl::MakeSpan(wide));
  EXPECT_EQ(wide[0], 0xff);
  i8042_.Write(4, absl::MakeSpan(wide, 1));
  i8042_.Write(0, absl::MakeSpan(wide, 4));
  EXPECT_NE(In(0x61) & 0x20, 0);
  EXPECT_EQ(In(0x62), 0xff);
  EXPECT_EQ(i8042_.metrics().missed_reads, 2u);
  EXPECT_EQ(i8042_.metrics().missed_writes, 1u);
}

TEST_F(I8042Test, AGuestThatNeverReadsFillsNothingForever) {
  for (int i = 0; i < 10'000; ++i) {
    Out(0x64, 0x20);
    Out(0x60, 0xf2);
  }
  EXPECT_LE(Drain().size(), 16u);
}

TEST(I8042ThreadsTest, HostAndTwoVcpus) {
  std::atomic<int> resets{0};
  I8042 i8042(MakeIrqLine(), [&resets] { ++resets; });
  const auto vcpu = [&i8042] {
    for (int i = 0; i < 20'000; ++i) {
      uint8_t value = static_cast<uint8_t>(i * 37);
      i8042.Write(i % 2 == 0 ? 0 : 4, absl::MakeSpan(&value, 1));
      i8042.Read(0, absl::MakeSpan(&value, 1));
    }
  };
  std::thread a(vcpu), b(vcpu);
  for (int i = 0; i < 1000; ++i) (void)i8042.SendCtrlAltDel();
  a.join();
  b.join();
  EXPECT_GT(resets, 0);
}

}  // namespace
}  // namespace hearth
