// SPDX-License-Identifier: Apache-2.0
#include "devices/platform/serial_16550.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "devices/platform/irq_counter.h"

namespace hearth {
namespace {

// By offset, as in the data sheet.
enum : uint64_t { kData, kIer, kIir, kLcr, kMcr, kLsr, kMsr, kScr, kFcr = kIir };
constexpr uint8_t kRxInterrupt = 1, kTxInterrupt = 2, kLineInterrupt = 4, kModemInterrupt = 8;
constexpr uint8_t kLoopback = 0x10;

class SerialTest : public testing::Test {
 protected:
  SerialTest() : serial_(MakeIrqLine(), {}) {}

  uint8_t In(uint64_t offset) {
    uint8_t value = 0;
    serial_.Read(offset, absl::MakeSpan(&value, 1));
    return value;
  }
  void Out(uint64_t offset, uint8_t value) { serial_.Write(offset, absl::MakeSpan(&value, 1)); }
  size_t Type(absl::string_view text) {
    return serial_.AddInput(
        absl::MakeSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  uint64_t Interrupts() { return TakeInterrupts(serial_.irq()); }
  // As an interrupt handler that loops until no cause is left (Linux's).
  std::string ReadAll() {
    std::string all;
    while (In(kLsr) & 1) all += static_cast<char>(In(kData));
    return all;
  }

  Serial16550 serial_;
};

TEST_F(SerialTest, IdleAfterReset) {
  EXPECT_EQ(In(kIer), 0);
  EXPECT_EQ(In(kIir), 0x01);
  EXPECT_EQ(In(kLsr), 0x60);
  EXPECT_EQ(In(kMsr), 0xb0);
  EXPECT_EQ(In(kData), 0);
  EXPECT_EQ(Interrupts(), 0u);
}

TEST_F(SerialTest, TheDivisorLatchHidesTheFirstTwoRegisters) {
  Out(kIer, kRxInterrupt);
  Out(kLcr, 0x83);
  Out(kData, 0x34);
  Out(kIer, 0x12);
  EXPECT_EQ(In(kData), 0x34);
  EXPECT_EQ(In(kIer), 0x12);
  Out(kLcr, 0x03);
  EXPECT_EQ(In(kIer), kRxInterrupt);
  EXPECT_EQ(In(kLcr), 0x03);
  EXPECT_EQ(serial_.metrics().writes, 0u);
}

// What Linux's autoconfig() and autoconfig_16550a() ask, in their order.
TEST_F(SerialTest, LinuxFindsA16550A) {
  Out(kIer, 0);
  EXPECT_EQ(In(kIer) & 0x0f, 0);
  Out(kIer, 0x0f);
  EXPECT_EQ(In(kIer) & 0x0f, 0x0f);
  Out(kIer, 0);
  Out(kMcr, kLoopback | 0x0a);
  EXPECT_EQ(In(kMsr) & 0xf0, 0x90);
  Out(kMcr, 0);
  Out(kLcr, 0xbf);  // no extended registers of later chips
  Out(kLcr, 0);
  Out(kFcr, 0x01);
  EXPECT_EQ(In(kIir) >> 6, 3);
  Out(kLcr, 0x80);
  EXPECT_NE(In(kIir), 0);
  Out(kLcr, 0xbf);
  EXPECT_NE(In(kIir), 0);
  Out(kLcr, 0);
  Out(kFcr, 0x01 | 0x20);  // the 16750's 64-byte FIFO
  EXPECT_EQ(In(kIir) >> 5, 6);
  Out(kLcr, 0x80);
  Out(kFcr, 0x01 | 0x20);
  EXPECT_EQ(In(kIir) >> 5, 6);
  Out(kLcr, 0);
  Out(kIer, 0x40);  // XScale's unit enable
  EXPECT_EQ(In(kIer) & 0x40, 0);
}

// serial8250_do_startup(): tests for the bugs called THRE and TXEN.
TEST_F(SerialTest, LinuxFindsNoTransmitterBugs) {
  for (int i = 0; i < 2; ++i) {
    Out(kIer, kTxInterrupt);
    EXPECT_EQ(Interrupts(), 1u);
    EXPECT_EQ(In(kLsr), 0x60);
    EXPECT_EQ(In(kIir), 0x02);
    EXPECT_EQ(In(kIir), 0x01);  // acknowledged
    Out(kIer, 0);
  }
}

TEST_F(SerialTest, ScratchAndModemControlKeepWhatTheyCan) {
  Out(kScr, 0xa5);
  EXPECT_EQ(In(kScr), 0xa5);
  Out(kMcr, 0xff);
  EXPECT_EQ(In(kMcr), 0x1f);
  Out(kLsr, 0);
  EXPECT_EQ(In(kLsr), 0x60);
}

TEST_F(SerialTest, AFullBurstIsOneInterrupt) {
  Out(kFcr, 1);
  Out(kIer, kTxInterrupt);
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(In(kIir), 0xc2);
  for (int i = 0; i < 16; ++i) Out(kData, 'x');
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(In(kIir), 0xc2);
  for (int i = 0; i < 16; ++i) Out(kData, 'x');
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(serial_.metrics().writes, 32u);
}

TEST_F(SerialTest, PolledOutputRaisesNothing) {
  for (int i = 0; i < 100; ++i) Out(kData, 'x');
  EXPECT_EQ(Interrupts(), 0u);
}

TEST_F(SerialTest, InputRaisesOneInterruptUntilItIsRead) {
  Out(kFcr, 1);
  Out(kIer, kRxInterrupt);
  EXPECT_EQ(Type("a"), 1u);
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(Type("b"), 1u);
  EXPECT_EQ(Interrupts(), 0u);
  EXPECT_EQ(In(kIir), 0xc4);
  EXPECT_EQ(ReadAll(), "ab");
  EXPECT_EQ(In(kIir), 0xc1);
  EXPECT_EQ(Type("c"), 1u);
  EXPECT_GE(Interrupts(), 1u);
  EXPECT_EQ(serial_.metrics().reads, 2u);
}

TEST_F(SerialTest, InputThatCameBeforeTheGuestListensIsAnnounced) {
  Type("early");
  EXPECT_EQ(Interrupts(), 0u);
  Out(kIer, kRxInterrupt);
  EXPECT_EQ(Interrupts(), 1u);
}

TEST_F(SerialTest, BelowTheTriggerLevelItIsATimeout) {
  Out(kFcr, 0x01 | 0xc0);  // 14 bytes
  Out(kIer, kRxInterrupt);
  Type("few");
  EXPECT_EQ(In(kIir), 0xcc);
  EXPECT_EQ(ReadAll(), "few");
  Type("more than enough for it");
  EXPECT_EQ(In(kIir), 0xc4);
}

// A driver that takes 16 bytes, or one, an interrupt and trusts the next edge.
TEST_F(SerialTest, ADriverThatDoesNotLoopGetsAnEdgeForEachFifo) {
  const std::string text(100, 't');
  for (const bool fifo : {true, false}) {
    Out(kIer, 0);
    Out(kFcr, fifo ? 1 : 0);
    Out(kIer, kRxInterrupt);
    EXPECT_EQ(Type(text), text.size());
    std::string received;
    while (Interrupts() > 0) {
      for (int i = 0; i < (fifo ? 16 : 1); ++i) {
        if (In(kLsr) & 1) received += static_cast<char>(In(kData));
      }
    }
    EXPECT_EQ(received, text) << fifo;
  }
}

TEST_F(SerialTest, ACauseBehindAnotherGetsItsOwnEdge) {
  Out(kFcr, 1);
  Out(kIer, kRxInterrupt | kTxInterrupt | kModemInterrupt);
  EXPECT_EQ(Interrupts(), 1u);  // transmitter
  Type("k");
  EXPECT_EQ(Interrupts(), 1u);  // goes before it
  EXPECT_EQ(In(kIir), 0xc4);
  In(kData);
  EXPECT_EQ(Interrupts(), 1u);  // now the transmitter, again
  EXPECT_EQ(In(kIir), 0xc2);
  EXPECT_EQ(In(kIir), 0xc1);
  Out(kMcr, kLoopback);
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(In(kIir), 0xc0);
  EXPECT_EQ(In(kMsr), 0x0b);  // CTS, DSR and DCD fell
  EXPECT_EQ(In(kIir), 0xc1);
}

TEST_F(SerialTest, Loopback) {
  Out(kFcr, 1);
  Out(kMcr, kLoopback | 0x0f);
  EXPECT_EQ(In(kMsr) & 0xf0, 0xf0);
  Out(kMcr, kLoopback);
  EXPECT_EQ(In(kMsr), 0x0f);
  EXPECT_EQ(In(kMsr), 0x00);
  Type("waits");
  for (const char c : std::string("looped")) Out(kData, static_cast<uint8_t>(c));
  EXPECT_EQ(ReadAll(), "looped");
  EXPECT_EQ(serial_.metrics().writes, 0u);
  Out(kMcr, 0);
  EXPECT_EQ(ReadAll(), "waits");
}

TEST_F(SerialTest, AnOverrunInLoopbackIsALineInterrupt) {
  Out(kFcr, 1);
  Out(kMcr, kLoopback);
  Out(kIer, kLineInterrupt | kRxInterrupt);
  for (char c = 'a'; c <= 'q'; ++c) Out(kData, static_cast<uint8_t>(c));
  EXPECT_EQ(In(kIir), 0xc6);
  EXPECT_EQ(In(kLsr), 0x63);
  EXPECT_EQ(In(kLsr), 0x61);
  EXPECT_EQ(In(kIir), 0xc4);
  EXPECT_EQ(ReadAll(), "abcdefghijklmnop");
  Out(kFcr, 0);
  Out(kData, '1');
  Out(kData, '2');
  EXPECT_EQ(In(kData), '2');
}

TEST_F(SerialTest, ClearingTheFifoClearsTheFifoOnly) {
  Out(kFcr, 1);
  Out(kIer, kRxInterrupt);
  Type("sixteen bytes...and the rest");
  EXPECT_EQ(Interrupts(), 1u);
  Out(kFcr, 0x03);
  EXPECT_EQ(Interrupts(), 1u);
  EXPECT_EQ(ReadAll(), "and the rest");
}

TEST_F(SerialTest, OnlyByteAccessesReachARegister) {
  uint8_t wide[8] = {};
  for (const size_t size : {2, 4, 8}) {
    serial_.Read(0, absl::MakeSpan(wide, size));
    for (size_t i = 0; i < size; ++i) EXPECT_EQ(wide[i], 0xff);
    serial_.Write(0, absl::MakeSpan(wide, size));
  }
  EXPECT_EQ(serial_.metrics().missed_reads, 3u);
  EXPECT_EQ(serial_.metrics().missed_writes, 3u);
  EXPECT_EQ(serial_.metrics().writes, 0u);
}

TEST(SerialInputTest, AFullQueueHoldsTheSourceUntilTheGuestHasReadHalf) {
  int calls = 0;
  Serial16550 serial(MakeIrqLine(), {.on_input_space = [&calls] { ++calls; }});
  std::vector<uint8_t> data(2 * Serial16550::kInputQueueBytes);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i % 251);
  const size_t first = serial.AddInput(data);
  EXPECT_EQ(first, Serial16550::kInputQueueBytes);
  EXPECT_EQ(serial.input_space(), 1u);  // one byte went to the FIFO, which is off
  EXPECT_EQ(serial.AddInput(absl::MakeSpan(data).subspan(first)), 1u);
  EXPECT_EQ(serial.input_space(), 0u);
  EXPECT_TRUE(serial.AskForSpace());
  std::vector<uint8_t> received;
  for (size_t i = 0; i < Serial16550::kInputQueueBytes + 1; ++i) {
    EXPECT_EQ(calls, serial.input_space() >= Serial16550::kInputQueueBytes / 2 ? 1 : 0);
    uint8_t byte;
    serial.Read(kData, absl::MakeSpan(&byte, 1));
    received.push_back(byte);
  }
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(std::equal(received.begin(), received.end(), data.begin()));
  EXPECT_FALSE(serial.AskForSpace());
}

TEST(SerialOutputTest, GoesToTheConsoleWithinTheRate) {
  auto loop = *base::EventLoop::Create();
  const base::UniqueFd file(memfd_create("console", MFD_CLOEXEC));
  auto output = *ConsoleOutput::Create(file.get(), loop.get());
  Serial16550 serial(
      MakeIrqLine(),
      {.output = output.get(),
       .rate_limit = {.size = 10, .one_time_burst = 4, .refill_time_ms = 1'000'000'000}});
  for (const char c : std::string("0123456789abcdefgh")) {
    const uint8_t byte = static_cast<uint8_t>(c);
    serial.Write(0, absl::MakeSpan(&byte, 1));
  }
  output->Flush();
  char buffer[32] = {};
  EXPECT_EQ(pread(file.get(), buffer, sizeof(buffer), 0), 14);
  EXPECT_STREQ(buffer, "0123456789abcd");
  EXPECT_EQ(serial.metrics().rate_limiter_dropped_bytes, 4u);
}

TEST(SerialThreadsTest, TwoVcpusAndASource) {
  Serial16550 serial(MakeIrqLine(), {});
  constexpr size_t kInput = 20'000;
  std::atomic<bool> done{false};
  const auto vcpu = [&] {
    for (uint8_t i = 0; !done; ++i) {
      uint8_t value = 0;
      serial.Read(kLsr, absl::MakeSpan(&value, 1));
      serial.Read(kIir, absl::MakeSpan(&value, 1));
      value = i;
      serial.Write(kIer, absl::MakeSpan(&value, 1));
      serial.Write(kData, absl::MakeSpan(&value, 1));
      serial.Read(kData, absl::MakeSpan(&value, 1));
      if (serial.metrics().reads == kInput) done = true;
    }
  };
  std::thread a(vcpu), b(vcpu);
  const std::vector<uint8_t> data(64, 'x');
  for (size_t sent = 0; sent < kInput;) {
    sent += serial.AddInput(absl::MakeSpan(data).subspan(0, std::min(data.size(), kInput - sent)));
  }
  a.join();
  b.join();
  EXPECT_EQ(serial.metrics().reads, kInput);
}

}  // namespace
}  // namespace hearth
