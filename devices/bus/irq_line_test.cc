// SPDX-License-Identifier: Apache-2.0
#include "devices/bus/irq_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>

namespace hearth {
namespace {

TEST(IrqLineTest, CountsRaises) {
  const auto line = IrqLine::Create();
  ASSERT_TRUE(line.ok()) << line.status();
  uint64_t count = 0;
  EXPECT_EQ(read(line->fd(), &count, sizeof(count)), -1);
  line->Trigger();
  line->Trigger();
  ASSERT_EQ(read(line->fd(), &count, sizeof(count)), 8);
  EXPECT_EQ(count, 2u);
}

TEST(IrqLineTest, NeverBlocksWhenNobodyTakesTheRaises) {
  const auto line = IrqLine::Create();
  ASSERT_TRUE(line.ok()) << line.status();
  const uint64_t full = ~uint64_t{0} - 1;
  ASSERT_EQ(write(line->fd(), &full, sizeof(full)), 8);
  line->Trigger();
}

TEST(IrqLineTest, IsClosedOnExec) {
  const auto line = IrqLine::Create();
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(fcntl(line->fd(), F_GETFD) & FD_CLOEXEC);
}

}  // namespace
}  // namespace hearth
