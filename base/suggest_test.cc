// SPDX-License-Identifier: Apache-2.0
#include "base/suggest.h"

#include <string>

#include "gtest/gtest.h"

namespace hearth::base {
namespace {

constexpr absl::string_view kKnown[] = {"vcpu_count", "mem_size_mib", "smt"};

TEST(Suggest, FindsTheNearestName) {
  EXPECT_EQ(Nearest("vcpu_cuont", kKnown), "vcpu_count");
  EXPECT_EQ(Nearest("mem_size", kKnown), "");
  EXPECT_EQ(Nearest("mem_size_mb", kKnown), "mem_size_mib");
  EXPECT_EQ(Nearest("sm", kKnown), "smt");
}

TEST(Suggest, KeepsQuietWhenNothingIsNear) {
  EXPECT_EQ(Nearest("kernel", kKnown), "");
  EXPECT_EQ(Nearest("", kKnown), "");
  EXPECT_EQ(Nearest(std::string(10000, 'x'), kKnown), "");
  EXPECT_EQ(Nearest("smt", {}), "");
}

}  // namespace
}  // namespace hearth::base
