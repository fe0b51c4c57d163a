// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block/io.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

namespace hearth::virtio::block {
namespace {

// How often in a row a call may ask to be made again before that is an error of the host.
constexpr uint8_t kMaxRetries = 100;

constexpr size_t kZeroBytes = 64 * 1024;
constexpr size_t kZeroVectors = 16;
// Zeroes to write. Never written to, so that all of it is the kernel's one zero page, and aligned
// for O_DIRECT.
alignas(4096) uint8_t g_zeroes[kZeroBytes];

// One write of zeroes; shorter ones take its beginning.
constexpr std::array<iovec, kZeroVectors> kFullZeroes = [] {
  std::array<iovec, kZeroVectors> vectors{};
  vectors.fill({g_zeroes, kZeroBytes});
  return vectors;
}();
constexpr uint64_t kZeroWriteBytes = kZeroBytes * kZeroVectors;

bool IsUnsupported(int error) {
  return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV || error == ENOTTY;
}

}  // namespace

void Io::SetTransfer(Kind kind, const BackingFile* file, absl::Span<const iovec> vectors,
                     uint64_t offset, uint64_t length) {
  kind_ = kind;
  file_ = file;
  vectors_ = vectors;
  offset_ = offset;
  length_ = length;
  error_ = 0;
  retries_ = 0;
}

void Io::SetFlush(const BackingFile* file) { SetTransfer(Kind::kFlush, file, {}, 0, 0); }

void Io::SetRange(Kind kind, BackingFile* file, uint64_t offset, uint64_t length, bool may_unmap) {
  SetTransfer(kind, file, {}, offset, length);
  zeroed_file_ = file;
  may_unmap_ = may_unmap;
  mode_ = FALLOC_FL_KEEP_SIZE |
          (kind == Kind::kDiscard || may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
  if (kind == Kind::kZero && !may_unmap && file->zeroes_by_writing()) mode_ = 0;
}

IoCall Io::NextCall() const {
  switch (kind_) {
    case Kind::kRead:
    case Kind::kWrite:
      return {.kind = kind_ == Kind::kRead ? IoCall::Kind::kRead : IoCall::Kind::kWrite,
              .fd = file_->fd_for(vectors_, offset_),
              .vectors = vectors_,
              .offset = offset_};
    case Kind::kFlush:
      return {.kind = IoCall::Kind::kSync, .fd = file_->fd()};
    case Kind::kDiscard:
    case Kind::kZero:
      break;
  }
  if (mode_ != 0) {
    return {.kind = IoCall::Kind::kAllocate,
            .fd = file_->fd(),
            .offset = offset_,
            .length = length_,
            .mode = mode_};
  }
  // Whole buffers first; the last part, which is shorter than one, comes alone.
  static constexpr auto kPartial = [] {
    // By size in sectors, so that no Io needs a vector of its own.
    std::array<iovec, kZeroBytes / 512> vectors{};
    for (size_t i = 0; i < vectors.size(); ++i) vectors[i] = {g_zeroes, i * 512};
    return vectors;
  }();
  const size_t whole = std::min<uint64_t>(length_, kZeroWriteBytes) / kZeroBytes;
  return {.kind = IoCall::Kind::kWrite,
          .fd = file_->fd(),
          .vectors = whole != 0 ? absl::MakeConstSpan(kFullZeroes).first(whole)
                                : absl::MakeConstSpan(kPartial).subspan(length_ / 512, 1),
          .offset = offset_};
}

bool Io::Advance(int64_t result) {
  if (result < 0) {
    const int error = static_cast<int>(-result);
    if (error == EINTR || error == EAGAIN) {
      return ++retries_ > kMaxRetries ? Fail(EIO) : false;
    }
    const bool is_range = kind_ == Kind::kDiscard || (kind_ == Kind::kZero && mode_ != 0);
    return is_range && IsUnsupported(error) ? RetryRange() : Fail(error);
  }
  retries_ = 0;
  if (kind_ == Kind::kFlush) return true;
  if (kind_ == Kind::kDiscard || (kind_ == Kind::kZero && mode_ != 0)) return true;
  return AdvanceTransfer(static_cast<uint64_t>(result));
}

bool Io::Fail(int error) {
  error_ = error;
  return true;
}

// The file system cannot do it. A discard is a hint, so that is its end; zeroes can be made in
// other ways.
bool Io::RetryRange() {
  if (kind_ == Kind::kDiscard) return true;
  if ((mode_ & FALLOC_FL_ZERO_RANGE) != 0) zeroed_file_->set_zeroes_by_writing();
  mode_ = zeroed_file_->zeroes_by_writing() ? 0 : FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE;
  return false;
}

bool Io::AdvanceTransfer(uint64_t bytes) {
  if (bytes > length_) return Fail(EIO);
  offset_ += bytes;
  length_ -= bytes;
  if (length_ == 0) return true;
  if (kind_ == Kind::kZero) return bytes == 0 ? Fail(EIO) : false;

  // What is left of the buffers.
  size_t first = 0;
  while (bytes >= vectors_[first].iov_len) bytes -= vectors_[first++].iov_len;
  std::vector<iovec> rest(vectors_.begin() + first, vectors_.end());
  rest[0] = {static_cast<uint8_t*>(rest[0].iov_base) + bytes, rest[0].iov_len - bytes};
  const bool moved = rest.size() != vectors_.size() || bytes != 0;
  rest_ = std::move(rest);
  vectors_ = rest_;
  if (kind_ == Kind::kRead && offset_ >= file_->size_bytes()) {
    FillWithZeroes();
    return true;
  }
  return moved ? false : Fail(EIO);
}

void Io::FillWithZeroes() {
  for (const iovec& vector : vectors_) std::memset(vector.iov_base, 0, vector.iov_len);
}

void Io::OnComplete(int32_t result) {
  if (Advance(result)) {
    Finish();
  } else {
    stepper_->Step(this);
  }
}

}  // namespace hearth::virtio::block
