// SPDX-License-Identifier: Apache-2.0
// Kernel files made in memory, for tests and fuzz corpora: right by default, with knobs to break
// them.
#ifndef HEARTH_RUNTIME_BOOT_TEST_IMAGES_H_
#define HEARTH_RUNTIME_BOOT_TEST_IMAGES_H_

#include <asm/bootparam.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "runtime/boot/bytes.h"
#include "runtime/memory/guest_address.h"

namespace hearth::boot {

// A file with `content` and no name; path() leads to it.
class TestFile {
 public:
  explicit TestFile(const std::string& content) : fd_(memfd_create("test", MFD_CLOEXEC)) {
    HEARTH_CHECK(write(fd_.get(), content.data(), content.size()) ==
                 static_cast<ssize_t>(content.size()));
  }
  int fd() const { return fd_.get(); }
  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

 private:
  const base::UniqueFd fd_;
};

struct TestSegment {
  uint64_t paddr;
  std::string data;
  uint64_t bss = 0;
  uint32_t type = PT_LOAD;
};

inline std::string PvhNote(uint64_t entry) {
  return BytesOf(Elf64_Nhdr{4, 8, 18}) + std::string("Xen\0", 4) + BytesOf(entry);
}

struct TestElf {
  uint64_t entry = 0x100000;
  std::vector<TestSegment> segments = {{0x100000, "code"}};
  // Start of each segment in the file, modulo the page size, relative to its address; 0 can be
  // mapped.
  uint64_t misalign = 0;
  std::function<void(Elf64_Ehdr&, std::vector<Elf64_Phdr>&)> tweak = nullptr;

  std::string Build() const {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_entry = entry;
    header.e_phoff = sizeof(header);
    header.e_ehsize = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<uint16_t>(segments.size());
    std::vector<Elf64_Phdr> program_headers;
    std::string data;
    const uint64_t data_offset = sizeof(header) + segments.size() * sizeof(Elf64_Phdr);
    for (const TestSegment& segment : segments) {
      const uint64_t wanted = (segment.paddr + misalign) % kPageSize;
      while ((data_offset + data.size()) % kPageSize != wanted) data.push_back('\xcc');
      Elf64_Phdr program_header{};
      program_header.p_type = segment.type;
      program_header.p_offset = data_offset + data.size();
      program_header.p_paddr = program_header.p_vaddr = segment.paddr;
      program_header.p_filesz = segment.data.size();
      program_header.p_memsz = segment.data.size() + segment.bss;
      program_header.p_align = segment.type == PT_NOTE ? 4 : kPageSize;
      program_headers.push_back(program_header);
      data += segment.data;
    }
    if (tweak) tweak(header, program_headers);
    std::string image = BytesOf(header);
    for (const Elf64_Phdr& program_header : program_headers) image += BytesOf(program_header);
    return image + data;
  }
};

struct TestBzImage {
  std::string payload;  // compressed
  uint32_t uncompressed_size = 0;
  bool append_size = true;  // as for every compressor but gzip
  std::function<void(setup_header&)> tweak = nullptr;

  std::string Build() const {
    constexpr uint64_t kSetupBytes = 2 * 512;  // boot sector and one sector of setup
    constexpr uint64_t kPayloadOffset = 0x300;
    std::string kernel(kPayloadOffset, '\x90');
    kernel += payload;
    if (append_size) kernel += BytesOf(uncompressed_size);
    setup_header header{};
    header.payload_length = static_cast<uint32_t>(kernel.size() - kPayloadOffset);
    kernel.resize(AlignUp(kernel.size() + 100, 16));
    header.setup_sects = 1;
    header.syssize = static_cast<uint32_t>(kernel.size() / 16);
    header.boot_flag = 0xaa55;
    header.jump =
        static_cast<uint16_t>(0xeb | (sizeof(header) - offsetof(setup_header, header)) << 8);
    header.header = 0x53726448;
    header.version = 0x020f;
    header.loadflags = LOADED_HIGH;
    header.initrd_addr_max = 0x7fffffff;
    header.kernel_alignment = 0x200000;
    header.relocatable_kernel = 1;
    header.xloadflags = XLF_KERNEL_64;
    header.cmdline_size = 255;
    header.payload_offset = kPayloadOffset;
    header.pref_address = 0x1000000;
    header.init_size = 0x100000;
    if (tweak) tweak(header);
    std::string setup(kSetupBytes, '\0');
    setup.replace(0x1f1, sizeof(header), BytesOf(header));
    return setup + kernel;
  }
};

}  // namespace hearth::boot

#endif  // HEARTH_RUNTIME_BOOT_TEST_IMAGES_H_
