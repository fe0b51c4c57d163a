// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/boot_source.h"

#include <fcntl.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "runtime/control/reply.h"

namespace hearth {
namespace {

// Whatever is wrong with the file, it is the request that names it: InvalidArgument.
absl::Status CheckFile(absl::string_view field, const std::string& path) {
  // O_NONBLOCK: a FIFO must not hold up the main thread.
  const absl::StatusOr<base::UniqueFd> fd = base::Open(path, O_RDONLY | O_NONBLOCK);
  const absl::Status status =
      fd.ok() ? base::RegularFileSize(fd->get(), path).status() : fd.status();
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", status.message()));
}

}  // namespace

absl::Span<const Verb> BootSourceResource::verbs() const {
  static constexpr Verb kVerbs[] = {{Method::kPut, Phase::kBeforeBoot, &kBootSourceSchema}};
  return kVerbs;
}

absl::StatusOr<Reply> BootSourceResource::Handle(const Call& call) {
  const auto& body = BodyOf<BootSource>(call);
  const std::string& args = body.boot_args();
  if (!std::all_of(args.begin(), args.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return absl::InvalidArgumentError("boot_args: must be printable ASCII");
  }
  HEARTH_RETURN_IF_ERROR(CheckFile("kernel_image_path", body.kernel_image_path()));
  if (body.has_initrd_path()) HEARTH_RETURN_IF_ERROR(CheckFile("initrd_path", body.initrd_path()));
  boot_source_ = body;
  return Reply{};
}

std::vector<Reply> BootSourceResource::Config() const {
  if (!boot_source_) return {};
  return OneReply(*boot_source_, kBootSourceSchema);
}

}  // namespace hearth
