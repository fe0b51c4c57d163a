// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/drive_family.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "devices/virtio/block/block_device.h"
#include "devices/virtio/block/drive_resource.h"
#include "proto/rate_limit.h"

namespace hearth::virtio::block {
namespace {

constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr char kDigits[] = "0123456789";

bool IsOnly(absl::string_view text, const std::string& characters) {
  return text.find_first_not_of(characters) == absl::string_view::npos;
}

std::string PathOf(absl::string_view id) { return absl::StrCat("drives/", id); }

absl::Status Wrong(absl::string_view field, absl::string_view got, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got \"", got, "\", must be ", wanted));
}

// The rules that the schema cannot say.
absl::Status Check(absl::string_view id, const Drive& drive) {
  const std::string alphanumeric = absl::StrCat(kLetters, kDigits);
  if (id.empty() || id.size() > 64 || !IsOnly(id, alphanumeric + "_-")) {
    return Wrong("drive_id", id, "1 to 64 letters, digits, \"_\" and \"-\"");
  }
  if (drive.has_socket()) {
    return absl::InvalidArgumentError(
        "socket: Hearth has no vhost-user; give the image itself as path_on_host");
  }
  if (!drive.has_path_on_host()) {
    return absl::InvalidArgumentError("missing required field path_on_host");
  }
  if (!std::has_single_bit(drive.has_queue_size() ? drive.queue_size() : 256)) {
    return absl::InvalidArgumentError(
        absl::StrCat("queue_size: got ", drive.queue_size(), ", must be a power of two"));
  }
  // It becomes part of the kernel's command line. "/PARTNROFF=1" may follow the id.
  if (!IsOnly(drive.partuuid(), alphanumeric + "-/=")) {
    return Wrong("partuuid", drive.partuuid(), "letters, digits, \"-\", \"/\" and \"=\"");
  }
  const std::string& serial = drive.serial();
  if (!std::all_of(serial.begin(), serial.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    return absl::InvalidArgumentError("serial: must be printable ASCII without blanks");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BackingFile>> OpenFile(const Drive& drive, const std::string& path) {
  HEARTH_ASSIGN_OR_RETURN(
      std::unique_ptr<BackingFile> file,
      BackingFile::Open(path, {.read_only = drive.is_read_only(), .direct = drive.direct()}),
      "path_on_host");
  return file;
}

void WarnOfOddSize(absl::string_view path, const BackingFile& file) {
  const uint64_t shown = file.capacity_sectors() * kSectorBytes;
  if (shown == file.size_bytes()) return;
  HEARTH_LOG(kWarning, path, ": the file has ", file.size_bytes(), " bytes, no multiple of ",
             file.block_size(), "; the guest sees ", shown, ", of which the last ",
             shown - file.size_bytes(), " read as zero until they are written");
}

absl::StatusOr<std::unique_ptr<Engine>> MakeEngine(const Drive& drive, base::EventLoop* loop) {
  if (drive.io_engine() == Drive::IO_ENGINE_SYNC) return std::make_unique<SyncEngine>();
  if (loop->ring() != nullptr) return std::make_unique<RingEngine>(loop->ring());
  if (drive.io_engine() == Drive::IO_ENGINE_ASYNC) {
    return absl::InvalidArgumentError(
        absl::StrCat("io_engine: got \"Async\", but the io thread runs over ", loop->backend(),
                     "; leave it out or use \"Sync\""));
  }
  return std::make_unique<SyncEngine>();
}

absl::StatusOr<std::unique_ptr<Device>> MakeDevice(const std::string& path, const Drive& drive,
                                                   const DeviceContext& context) {
  HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<BackingFile> file, OpenFile(drive, drive.path_on_host()),
                          path);
  HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, MakeEngine(drive, context.loop), path);
  file->WarnIfShared(path);
  WarnOfOddSize(path, *file);
  BlockOptions options;
  options.path = path;
  options.read_only = drive.is_read_only();
  options.unsafe = drive.cache_type() == Drive::CACHE_TYPE_UNSAFE;
  options.serial = drive.serial();
  if (drive.has_queues()) options.queues = static_cast<uint16_t>(drive.queues());
  if (drive.has_queue_size()) options.queue_size = static_cast<uint16_t>(drive.queue_size());
  options.rate_limit = ToOptions(drive.rate_limiter());
  return std::make_unique<BlockDevice>(std::move(options), std::move(file), std::move(engine),
                                       context);
}

}  // namespace

void DriveFamily::AddResources(std::vector<std::unique_ptr<Resource>>* resources) {
  resources->push_back(std::make_unique<DriveResource>(this));
  resources->push_back(std::make_unique<DriveListResource>(this));
}

std::vector<const ConfigList<Drive>::Item*> DriveFamily::InGuestOrder() const {
  std::vector<const ConfigList<Drive>::Item*> order;
  for (const auto& item : drives_.items()) order.push_back(&item);
  std::stable_partition(order.begin(), order.end(),
                        [](const auto* item) { return item->config.is_root_device(); });
  return order;
}

std::vector<DeviceRequest> DriveFamily::Requests() {
  std::vector<DeviceRequest> requests;
  for (const auto* item : InGuestOrder()) {
    const std::string path = PathOf(item->id);
    requests.push_back({.path = path,
                        .io_thread = item->config.io_thread(),
                        .create = [path, drive = item->config](const DeviceContext& context) {
                          return MakeDevice(path, drive, context);
                        }});
  }
  return requests;
}

std::string DriveFamily::KernelArguments() const {
  for (const auto& item : drives_.items()) {
    const Drive& drive = item.config;
    if (!drive.is_root_device()) continue;
    return absl::StrCat(
        "root=", drive.has_partuuid() ? absl::StrCat("PARTUUID=", drive.partuuid()) : "/dev/vda",
        drive.is_read_only() ? " ro" : " rw");
  }
  return "";
}

void DriveFamily::Attach(std::vector<DeviceHandle> handles) { handles_ = std::move(handles); }

const Drive* DriveFamily::Find(absl::string_view id) {
  const ConfigList<Drive>::Item* const item = drives_.Find(id);
  return item != nullptr ? &item->config : nullptr;
}

absl::Status DriveFamily::Put(absl::string_view id, const Drive& drive) {
  HEARTH_RETURN_IF_ERROR(Check(id, drive));
  for (const auto& item : drives_.items()) {
    if (drive.is_root_device() && item.config.is_root_device() && item.id != id) {
      return absl::InvalidArgumentError(absl::StrCat(
          "is_root_device: A root block device already exists! It is \"", item.id, "\""));
    }
  }
  HEARTH_RETURN_IF_ERROR(OpenFile(drive, drive.path_on_host()).status());
  drives_.Put(id, drive);
  return absl::OkStatus();
}

absl::Status DriveFamily::Patch(absl::string_view id, const PartialDrive& patch) {
  ConfigList<Drive>::Item* const item = drives_.Find(id);
  const auto order = InGuestOrder();
  const auto place = std::find(order.begin(), order.end(), item);
  if (item == nullptr || place == order.end()) {
    return absl::InvalidArgumentError(absl::StrCat("drive_id: there is no drive \"", id, "\""));
  }
  Drive& drive = item->config;
  const DeviceHandle& handle = handles_[static_cast<size_t>(place - order.begin())];
  // The file first: it is what may fail.
  if (patch.has_path_on_host()) {
    HEARTH_RETURN_IF_ERROR(ReplaceFile(drive, patch.path_on_host(), handle));
    drive.set_path_on_host(patch.path_on_host());
  }
  if (patch.has_rate_limiter()) {
    HEARTH_RETURN_IF_ERROR(handle.Run([&patch](Device& device) {
      static_cast<BlockDevice&>(device).ChangeLimiter([&patch](base::RateLimiter& limiter) {
        UpdateRateLimiter(patch.rate_limiter(), std::chrono::steady_clock::now(), &limiter);
      });
      return absl::OkStatus();
    }));
    drive.mutable_rate_limiter()->MergeFrom(patch.rate_limiter());
  }
  return absl::OkStatus();
}

absl::Status DriveFamily::ReplaceFile(const Drive& drive, const std::string& path,
                                      const DeviceHandle& handle) {
  HEARTH_ASSIGN_OR_RETURN(std::unique_ptr<BackingFile> file, OpenFile(drive, path));
  auto& device = static_cast<BlockDevice&>(*handle.get());
  HEARTH_RETURN_IF_ERROR(device.CheckReplacement(*file), "path_on_host");
  const std::string who = PathOf(drive.drive_id());
  WarnOfOddSize(who, *file);
  const BackingFile& now_used = *file;
  std::unique_ptr<BackingFile> old;
  handle.RunToEnd([&](Device&, absl::AnyInvocable<void()> done) {
    device.ReplaceFile(std::move(file), [&old, done = std::move(done)](auto replaced) mutable {
      old = std::move(replaced);
      done();
    });
  });
  // The old one first: it may be the same file.
  old.reset();
  now_used.WarnIfShared(who);
  return absl::OkStatus();
}

}  // namespace hearth::virtio::block
