// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/elf_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/files.h"
#include "base/status_macros.h"
#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

// Kernels have four or five; a file with more than this is not one.
constexpr uint16_t kMaxProgramHeaders = 128;
// Linux has a few hundred bytes of notes. What lies past this is not looked at.
constexpr uint64_t kMaxNoteBytes = 64 << 10;
constexpr uint32_t kXenNotePhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY

absl::Status Invalid(std::string what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, "; give an uncompressed x86-64 vmlinux or a bzImage"));
}

// The part of a file that is the image.
struct Source {
  int fd;
  uint64_t offset;
  uint64_t size;

  bool Contains(uint64_t at, uint64_t bytes) const { return at <= size && bytes <= size - at; }
  absl::Status Read(absl::string_view what, uint64_t at, void* to, uint64_t bytes) const {
    if (!Contains(at, bytes)) {
      return Invalid(absl::StrCat(what, " at offset ", at, " of ", bytes,
                                  " bytes lies outside the image of ", size,
                                  " bytes, which is truncated or corrupt"));
    }
    HEARTH_RETURN_IF_ERROR(base::PreadExactly(fd, to, bytes, offset + at), what);
    return absl::OkStatus();
  }
};

absl::Status CheckHeader(const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return Invalid("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_X86_64) {
    return Invalid(absl::StrCat("an ELF file of machine ", header.e_machine, " and class ",
                                header.e_ident[EI_CLASS], ", not 64-bit x86-64"));
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    return Invalid(absl::StrCat("an ELF file of type ", header.e_type, ", not an executable"));
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) {
    return Invalid(absl::StrCat("ELF program headers of ", header.e_phentsize, " bytes, not ",
                                sizeof(Elf64_Phdr)));
  }
  if (header.e_phnum == 0 || header.e_phnum > kMaxProgramHeaders) {
    return Invalid(absl::StrCat("ELF file with ", header.e_phnum, " program headers, not 1 to ",
                                kMaxProgramHeaders));
  }
  return absl::OkStatus();
}

absl::StatusOr<ElfSegment> CheckSegment(const Source& source, size_t index,
                                        const Elf64_Phdr& header) {
  const auto invalid = [&](absl::string_view what) {
    return Invalid(absl::StrCat("ELF program header ", index, ": ", what));
  };
  if (header.p_filesz > header.p_memsz) {
    return invalid(absl::StrCat("p_filesz ", header.p_filesz, " exceeds p_memsz ", header.p_memsz));
  }
  if (!source.Contains(header.p_offset, header.p_filesz)) {
    return invalid(absl::StrCat(header.p_filesz, " bytes at offset ", header.p_offset,
                                " lie outside the image of ", source.size,
                                " bytes, which is truncated or corrupt"));
  }
  const GuestAddress start(header.p_paddr);
  if (!start.CheckedAdd(header.p_memsz)) {
    return invalid(
        absl::StrCat("p_paddr ", start.ToString(), " + p_memsz ", header.p_memsz, " wraps"));
  }
  if (start < layout::kHighMemory) {
    return invalid(
        absl::StrCat("loads at ", start.ToString(), ", below 1 MiB, where the boot data are"));
  }
  return ElfSegment{source.offset + header.p_offset, header.p_filesz, header.p_memsz, start};
}

// Walks the notes of one PT_NOTE segment for the PVH entry point.
std::optional<GuestAddress> FindPvhEntry(absl::string_view notes, uint64_t alignment) {
  for (uint64_t at = 0;;) {
    const auto header = ReadFrom<Elf64_Nhdr>(notes, at);
    if (!header) return std::nullopt;
    const uint64_t name_at = at + sizeof(*header);
    // Sizes are 32-bit, so the sums do not wrap.
    const uint64_t value_at = AlignUp(name_at + header->n_namesz, alignment);
    const uint64_t next = AlignUp(value_at + header->n_descsz, alignment);
    if (next > AlignUp(notes.size(), alignment) || value_at > notes.size()) return std::nullopt;
    // n_namesz counts the NUL.
    if (header->n_type == kXenNotePhys32Entry && header->n_namesz == 4 &&
        notes.substr(name_at, 4) == absl::string_view("Xen\0", 4)) {
      if (header->n_descsz == sizeof(uint64_t)) {
        if (const auto entry = ReadFrom<uint64_t>(notes, value_at)) return GuestAddress(*entry);
      } else if (header->n_descsz == sizeof(uint32_t)) {
        if (const auto entry = ReadFrom<uint32_t>(notes, value_at)) return GuestAddress(*entry);
      }
    }
    at = next;
  }
}

bool WithinASegment(const std::vector<ElfSegment>& segments, GuestAddress address) {
  return std::any_of(segments.begin(), segments.end(), [&](const ElfSegment& segment) {
    return segment.start <= address && address < segment.end();
  });
}

absl::Status CheckLayout(const Elf64_Ehdr& header, ElfImage& image) {
  auto& segments = image.segments;
  if (segments.empty()) return Invalid("ELF file without a segment to load");
  std::sort(segments.begin(), segments.end(),
            [](const ElfSegment& a, const ElfSegment& b) { return a.start < b.start; });
  for (size_t i = 1; i < segments.size(); ++i) {
    if (segments[i].start < segments[i - 1].end()) {
      return Invalid(absl::StrCat("ELF segments at ", segments[i - 1].start.ToString(), " and ",
                                  segments[i].start.ToString(), " overlap"));
    }
  }
  if (image.pvh_entry &&
      !(*image.pvh_entry < kMmioHoleEnd && WithinASegment(segments, *image.pvh_entry))) {
    return Invalid(absl::StrCat("PVH entry point ", image.pvh_entry->ToString(),
                                " is outside the loaded segments or above 4 GiB"));
  }
  if (const GuestAddress entry(header.e_entry); WithinASegment(segments, entry)) {
    image.entry = entry;
  } else if (!image.pvh_entry) {
    return Invalid(
        absl::StrCat("ELF entry point ", entry.ToString(), " is outside the loaded segments"));
  }
  return absl::OkStatus();
}

}  // namespace

bool LooksLikeElf(const void* bytes, uint64_t size) {
  return size >= SELFMAG && std::memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

absl::StatusOr<ElfImage> ParseElf(int fd, uint64_t image_offset, uint64_t image_size) {
  const Source source{fd, image_offset, image_size};
  Elf64_Ehdr header;
  HEARTH_RETURN_IF_ERROR(source.Read("ELF header", 0, &header, sizeof(header)));
  HEARTH_RETURN_IF_ERROR(CheckHeader(header));
  std::vector<Elf64_Phdr> program_headers(header.e_phnum);
  HEARTH_RETURN_IF_ERROR(source.Read("ELF program headers", header.e_phoff, program_headers.data(),
                                     program_headers.size() * sizeof(Elf64_Phdr)));

  ElfImage image;
  for (size_t i = 0; i < program_headers.size(); ++i) {
    const Elf64_Phdr& program_header = program_headers[i];
    if (program_header.p_type == PT_LOAD && program_header.p_memsz > 0) {
      HEARTH_ASSIGN_OR_RETURN(const ElfSegment segment, CheckSegment(source, i, program_header));
      image.segments.push_back(segment);
    } else if (program_header.p_type == PT_NOTE && !image.pvh_entry) {
      std::string notes(std::min<uint64_t>(program_header.p_filesz, kMaxNoteBytes), '\0');
      HEARTH_RETURN_IF_ERROR(
          source.Read("ELF notes", program_header.p_offset, notes.data(), notes.size()));
      image.pvh_entry = FindPvhEntry(notes, program_header.p_align == 8 ? 8 : 4);
    }
  }
  HEARTH_RETURN_IF_ERROR(CheckLayout(header, image));
  return image;
}

absl::StatusOr<LoadedBytes> LoadElf(const ElfImage& image, int fd, GuestMemory& memory) {
  LoadedBytes loaded;
  for (const ElfSegment& segment : image.segments) {
    const std::string what = absl::StrCat("ELF segment at ", segment.start.ToString());
    HEARTH_RETURN_IF_ERROR(memory.SliceFor(what, segment.start, segment.memory_size).status());
    HEARTH_ASSIGN_OR_RETURN(
        const LoadedBytes bytes,
        LoadFileRange(memory, what, fd, segment.file_offset, segment.file_size, segment.start));
    loaded += bytes;
  }
  return loaded;
}

}  // namespace hearth::boot
