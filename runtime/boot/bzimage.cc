// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/bzimage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/files.h"
#include "base/status_macros.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

constexpr uint32_t kHeaderMagic = 0x53726448;  // "HdrS"
constexpr uint16_t kMinVersion = 0x0208;       // brought payload_offset and payload_length
constexpr uint16_t kVersionOfXloadflags = 0x020c;
constexpr uint64_t kSectorBytes = 512;
constexpr uint64_t kHeaderOffset = offsetof(boot_params, hdr);
constexpr uint64_t kMagicOffset = kHeaderOffset + offsetof(setup_header, header);
// The byte before the magic is the length of a short jump over the header: its end.
constexpr uint64_t kHeaderEndOffset = kMagicOffset;
constexpr uint64_t k64BitEntryOffset = 0x200;

absl::Status Invalid(std::string what) {
  return absl::InvalidArgumentError(
      absl::StrCat("bzImage ", what, "; give a complete bzImage or vmlinux"));
}

absl::StatusOr<setup_header> ReadHeader(int fd, uint64_t file_size) {
  uint8_t jump_length = 0;
  if (file_size < kHeaderEndOffset) return Invalid(absl::StrCat("of only ", file_size, " bytes"));
  HEARTH_RETURN_IF_ERROR(base::PreadExactly(fd, &jump_length, 1, kMagicOffset - 1), "setup header");
  const uint64_t end =
      std::min<uint64_t>(kHeaderEndOffset + jump_length, kHeaderOffset + sizeof(setup_header));
  if (file_size < end) return Invalid(absl::StrCat("of only ", file_size, " bytes"));
  setup_header header{};
  HEARTH_RETURN_IF_ERROR(base::PreadExactly(fd, &header, end - kHeaderOffset, kHeaderOffset),
                         "setup header");
  if (header.header != kHeaderMagic) return Invalid("without the setup header's magic");
  if (header.version < kMinVersion) {
    return Invalid(
        absl::StrCat("of boot protocol 0x", absl::Hex(header.version), ", older than 0x208"));
  }
  return header;
}

// A mapping for the time of decompression. Not populated: what the file announces may be more than
// it holds.
class Mapping {
 public:
  Mapping(int fd, uint64_t size)
      : at_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)), size_(size) {}
  ~Mapping() {
    if (valid()) munmap(at_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  bool valid() const { return at_ != MAP_FAILED; }
  absl::Span<uint8_t> bytes() const { return {static_cast<uint8_t*>(at_), size_}; }

 private:
  void* const at_;
  const uint64_t size_;
};

}  // namespace

bool LooksLikeBzImage(const void* bytes, uint64_t size) {
  if (size < kMagicOffset + sizeof(kHeaderMagic)) return false;
  return std::memcmp(static_cast<const char*>(bytes) + kMagicOffset, &kHeaderMagic,
                     sizeof(kHeaderMagic)) == 0;
}

absl::StatusOr<BzImage> ParseBzImage(int fd, uint64_t file_size) {
  HEARTH_ASSIGN_OR_RETURN(const setup_header header, ReadHeader(fd, file_size));
  BzImage image{.header = header};
  // 0 means 4, for historical reasons; the boot sector comes before them.
  const uint64_t setup_sectors = header.setup_sects == 0 ? 4 : header.setup_sects;
  image.kernel_offset = (setup_sectors + 1) * kSectorBytes;
  // syssize counts 16-byte paragraphs. Signed images have more after it.
  image.kernel_size = uint64_t{header.syssize} * 16;
  if (image.kernel_offset > file_size)
    return Invalid("ends within its setup code: it is truncated");
  image.kernel_size = std::min(image.kernel_size, file_size - image.kernel_offset);
  // All sums are of 32-bit numbers.
  const uint64_t payload_end = uint64_t{header.payload_offset} + header.payload_length;
  uint32_t announced = 0;
  if (payload_end > image.kernel_size || header.payload_length < sizeof(announced)) {
    return Invalid(absl::StrCat("payload of ", header.payload_length, " bytes at ",
                                header.payload_offset, " lies outside the kernel of ",
                                image.kernel_size, " bytes: it is truncated"));
  }
  image.payload_offset = image.kernel_offset + header.payload_offset;
  image.payload_size = header.payload_length;

  std::string start(std::min<uint64_t>(image.payload_size, 16), '\0');
  HEARTH_RETURN_IF_ERROR(base::PreadExactly(fd, start.data(), start.size(), image.payload_offset),
                         "payload");
  image.compression = DetectCompression(start);
  HEARTH_RETURN_IF_ERROR(
      base::PreadExactly(fd, &announced, sizeof(announced),
                         image.payload_offset + image.payload_size - sizeof(announced)),
      "payload");
  image.uncompressed_size = announced;
  // gzip's own last field is the size; after every other format the build appends it.
  if (image.compression != Compression::kGzip) image.payload_size -= sizeof(announced);
  return image;
}

absl::StatusOr<base::UniqueFd> DecompressBzImage(const BzImage& image, int fd, uint64_t max_bytes) {
  if (image.compression == Compression::kUnknown || image.compression == Compression::kNone) {
    return absl::UnimplementedError(
        absl::StrCat("no decoder for ", CompressionName(image.compression)));
  }
  if (image.uncompressed_size == 0 || image.uncompressed_size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "bzImage unpacks to ", image.uncompressed_size, " bytes, which the guest's memory of ",
        max_bytes >> 20, " MiB does not hold; raise mem_size_mib"));
  }
  // Read, not mapped: a file that shrinks meanwhile must not kill us.
  std::string payload(image.payload_size, '\0');
  HEARTH_RETURN_IF_ERROR(
      base::PreadExactly(fd, payload.data(), payload.size(), image.payload_offset), "payload");

  base::UniqueFd kernel(memfd_create("hearth-kernel", MFD_CLOEXEC));
  if (!kernel.valid()) return base::ErrnoStatus("memfd_create", "unpacked kernel");
  if (ftruncate(kernel.get(), static_cast<off_t>(image.uncompressed_size)) != 0) {
    return base::ErrnoStatus("ftruncate", "unpacked kernel");
  }
  const Mapping mapping(kernel.get(), image.uncompressed_size);
  if (!mapping.valid()) return base::ErrnoStatus("mmap", "unpacked kernel");
  HEARTH_RETURN_IF_ERROR(Decompress(image.compression, payload, mapping.bytes()), "bzImage");
  return kernel;
}

absl::StatusOr<BzImageEntry> LoadBzImageWhole(const BzImage& image, int fd, GuestMemory& memory) {
  const setup_header& header = image.header;
  if (header.version < kVersionOfXloadflags || (header.xloadflags & XLF_KERNEL_64) == 0) {
    return Invalid(absl::StrCat("with a payload of compression ",
                                CompressionName(image.compression),
                                " has no 64-bit entry point to unpack itself from"));
  }
  const GuestAddress start =
      header.pref_address != 0 ? GuestAddress(header.pref_address) : layout::kHighMemory;
  if (start < layout::kHighMemory || !start.CheckedAdd(header.init_size) ||
      image.kernel_size < k64BitEntryOffset || image.kernel_size > header.init_size) {
    return Invalid(absl::StrCat("with pref_address ", start.ToString(), ", init_size ",
                                header.init_size, " and a kernel of ", image.kernel_size,
                                " bytes contradicts itself"));
  }
  HEARTH_RETURN_IF_ERROR(memory.SliceFor("bzImage's init_size", start, header.init_size).status());
  HEARTH_ASSIGN_OR_RETURN(
      const LoadedBytes loaded,
      LoadFileRange(memory, "bzImage", fd, image.kernel_offset, image.kernel_size, start));
  return BzImageEntry{start + k64BitEntryOffset, start, start + header.init_size, loaded};
}

}  // namespace hearth::boot
