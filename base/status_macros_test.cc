// SPDX-License-Identifier: Apache-2.0
#include "base/status_macros.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace hearth::base {
namespace {

TEST(ErrnoStatus, NamesCallObjectAndRemedy) {
  const absl::Status status = ErrnoStatus("open", "/dev/kvm", EACCES, "join the kvm group");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "open /dev/kvm: Permission denied; join the kvm group");
}

TEST(Annotate, AddsAPrefixAndKeepsOk) {
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
  const absl::Status status = Annotate(absl::NotFoundError("gone"), "net ", "eth0");
  EXPECT_EQ(status, absl::NotFoundError("net eth0: gone"));
}

absl::StatusOr<int> Half(int n) {
  if (n % 2) return absl::InvalidArgumentError("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  HEARTH_ASSIGN_OR_RETURN(const int half, Half(n), "halving ", n);
  HEARTH_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

absl::Status Check(int n) {
  HEARTH_RETURN_IF_ERROR(Quarter(n).status(), "quarter");
  return absl::OkStatus();
}

TEST(Macros, PassValuesAndAnnotateErrors) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(7).status(), absl::InvalidArgumentError("halving 7: odd"));
  EXPECT_EQ(Quarter(6).status(), absl::InvalidArgumentError("odd"));
  EXPECT_TRUE(Check(4).ok());
  EXPECT_EQ(Check(5), absl::InvalidArgumentError("quarter: halving 5: odd"));
}

}  // namespace
}  // namespace hearth::base
