// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/mptable.h"

#include <array>
#include <cstddef>

#include "base/status_macros.h"
#include "runtime/boot/bytes.h"
#include "runtime/boot/layout.h"

namespace hearth::boot {
namespace {

constexpr uint8_t kSpecRevision = 4;  // 1.4
constexpr uint8_t kIsaBus = 0;
constexpr uint8_t kCascade = 2;  // the second 8259's line: no device can have it
constexpr uint8_t kAllApics = 0xff;

enum InterruptType : uint8_t { kInt = 0, kNmi = 1, kExtInt = 3 };

struct FloatingPointer {
  std::array<char, 4> signature = {'_', 'M', 'P', '_'};
  uint32_t table;
  uint8_t paragraphs = 1;  // of this structure
  uint8_t spec_revision = kSpecRevision;
  uint8_t checksum = 0;
  std::array<uint8_t, 5> features{};  // a configuration table is present; virtual wire mode
};
static_assert(sizeof(FloatingPointer) == 16);

struct TableHeader {
  std::array<char, 4> signature = {'P', 'C', 'M', 'P'};
  uint16_t length;
  uint8_t spec_revision = kSpecRevision;
  uint8_t checksum = 0;
  std::array<char, 8> oem_id = {'H', 'E', 'A', 'R', 'T', 'H', ' ', ' '};
  std::array<char, 12> product_id = {'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ', ' ', ' ', ' ', ' '};
  uint32_t oem_table = 0;
  uint16_t oem_table_size = 0;
  uint16_t entry_count;
  uint32_t local_apic = layout::kLocalApicBase;
  uint16_t extended_length = 0;
  uint8_t extended_checksum = 0;
  uint8_t reserved = 0;
};
static_assert(sizeof(TableHeader) == 44);

struct Processor {
  uint8_t type = 0;
  uint8_t apic_id;
  uint8_t apic_version = 0x14;
  uint8_t flags;               // 1 enabled, 2 boot processor
  uint32_t signature = 0x600;  // family 6; kernels ask CPUID instead
  uint32_t features = 0x201;   // FPU, APIC
  std::array<uint32_t, 2> reserved{};
};
static_assert(sizeof(Processor) == 20);

struct Bus {
  uint8_t type = 1;
  uint8_t id = kIsaBus;
  std::array<char, 6> name = {'I', 'S', 'A', ' ', ' ', ' '};
};

struct IoApic {
  uint8_t type = 2;
  uint8_t id;
  uint8_t version = 0x11;
  uint8_t flags = 1;  // usable
  uint32_t address = layout::kIoApicBase;
};

// Types 3 (I/O) and 4 (local).
struct InterruptSource {
  uint8_t type;
  InterruptType interrupt;
  uint16_t flags = 0;  // as the bus has it: for ISA edge-triggered, active high
  uint8_t bus = kIsaBus;
  uint8_t irq;
  uint8_t apic_id;
  uint8_t pin;
};
static_assert(sizeof(Bus) == 8 && sizeof(IoApic) == 8 && sizeof(InterruptSource) == 8);

}  // namespace

std::string BuildMpTable(uint32_t vcpu_count, GuestAddress base) {
  HEARTH_CHECK(vcpu_count >= 1 && vcpu_count <= layout::kMaxVcpus);
  std::string entries;
  uint16_t count = 0;
  const auto add = [&](const auto& entry) {
    entries += BytesOf(entry);
    ++count;
  };
  for (uint32_t i = 0; i < vcpu_count; ++i) {
    add(Processor{.apic_id = static_cast<uint8_t>(i),
                  .flags = static_cast<uint8_t>(i == 0 ? 3 : 1)});
  }
  add(Bus{});
  const auto io_apic_id = static_cast<uint8_t>(vcpu_count);
  add(IoApic{.id = io_apic_id});
  for (uint8_t pin = 0; pin < layout::kIoApicPins; ++pin) {
    if (pin == kCascade) continue;
    add(InterruptSource{
        .type = 3, .interrupt = kInt, .irq = pin, .apic_id = io_apic_id, .pin = pin});
  }
  add(InterruptSource{.type = 4, .interrupt = kExtInt, .irq = 0, .apic_id = 0, .pin = 0});
  add(InterruptSource{.type = 4, .interrupt = kNmi, .irq = 0, .apic_id = kAllApics, .pin = 1});

  TableHeader header{.length = static_cast<uint16_t>(sizeof(TableHeader) + entries.size()),
                     .entry_count = count};
  header.checksum = ChecksumOf(BytesOf(header) + entries);
  FloatingPointer pointer{.table = static_cast<uint32_t>(base.value() + sizeof(FloatingPointer))};
  pointer.checksum = ChecksumOf(BytesOf(pointer));
  return BytesOf(pointer) + BytesOf(header) + entries;
}

}  // namespace hearth::boot
