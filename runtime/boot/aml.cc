// SPDX-License-Identifier: Apache-2.0
#include "runtime/boot/aml.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "runtime/boot/bytes.h"

namespace hearth::aml {
namespace {

using boot::BytesOf;

constexpr uint8_t kZeroOp = 0x00;
constexpr uint8_t kOneOp = 0x01;
constexpr uint8_t kNameOp = 0x08;
constexpr uint8_t kBytePrefix = 0x0a;
constexpr uint8_t kWordPrefix = 0x0b;
constexpr uint8_t kDwordPrefix = 0x0c;
constexpr uint8_t kStringPrefix = 0x0d;
constexpr uint8_t kQwordPrefix = 0x0e;
constexpr uint8_t kScopeOp = 0x10;
constexpr uint8_t kBufferOp = 0x11;
constexpr uint8_t kPackageOp = 0x12;
constexpr uint8_t kExtOpPrefix = 0x5b;
constexpr uint8_t kDeviceOp = 0x82;

// Resource descriptor tags.
constexpr uint8_t kIoPortTag = 0x47;
constexpr uint8_t kEndTag = 0x79;
constexpr uint8_t kMemory32FixedTag = 0x86;
constexpr uint8_t kExtendedInterruptTag = 0x89;

std::string Join(const Terms& terms) { return absl::StrJoin(terms, ""); }

std::string NameString(absl::string_view name) {
  const bool from_root = absl::ConsumePrefix(&name, "\\");
  HEARTH_CHECK(!name.empty() && name.size() <= 4);
  for (const char c : name)
    HEARTH_CHECK(absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == '_');
  HEARTH_CHECK(!absl::ascii_isdigit(name[0]));
  return absl::StrCat(from_root ? "\\" : "", name, std::string(4 - name.size(), '_'));
}

// PkgLength counts itself, which makes its own size part of the number.
std::string WithLength(absl::string_view body) {
  for (uint64_t follow = 0; follow < 4; ++follow) {
    const uint64_t length = body.size() + 1 + follow;
    if (follow == 0 && length < 0x40)
      return absl::StrCat(BytesOf(static_cast<uint8_t>(length)), body);
    if (follow > 0 && length < (uint64_t{1} << (4 + 8 * follow))) {
      const auto lead = static_cast<uint8_t>(follow << 6 | (length & 0xf));
      return absl::StrCat(BytesOf(lead), BytesOf(length >> 4).substr(0, follow), body);
    }
  }
  HEARTH_CHECK(false);
}

}  // namespace

std::string Integer(uint64_t value) {
  if (value == 0) return BytesOf(kZeroOp);
  if (value == 1) return BytesOf(kOneOp);
  if (value <= 0xff) return BytesOf(kBytePrefix) + BytesOf(static_cast<uint8_t>(value));
  if (value <= 0xffff) return BytesOf(kWordPrefix) + BytesOf(static_cast<uint16_t>(value));
  if (value <= 0xffffffff) return BytesOf(kDwordPrefix) + BytesOf(static_cast<uint32_t>(value));
  return BytesOf(kQwordPrefix) + BytesOf(value);
}

std::string String(absl::string_view text) {
  return absl::StrCat(BytesOf(kStringPrefix), text, BytesOf('\0'));
}

std::string EisaId(absl::string_view id) {
  uint32_t product = 0;
  HEARTH_CHECK(id.size() == 7 && absl::SimpleHexAtoi(id.substr(3), &product));
  uint32_t packed = product;
  for (int i = 0; i < 3; ++i) {
    HEARTH_CHECK(absl::ascii_isupper(id[i]));
    packed |= static_cast<uint32_t>(id[i] - 'A' + 1) << (26 - 5 * i);
  }
  return BytesOf(kDwordPrefix) + BytesOf(__builtin_bswap32(packed));
}

std::string Package(const Terms& elements) {
  HEARTH_CHECK(elements.size() <= 0xff);
  return BytesOf(kPackageOp) +
         WithLength(BytesOf(static_cast<uint8_t>(elements.size())) + Join(elements));
}

std::string Name(absl::string_view name, absl::string_view value) {
  return absl::StrCat(BytesOf(kNameOp), NameString(name), value);
}

std::string Scope(absl::string_view name, const Terms& terms) {
  return BytesOf(kScopeOp) + WithLength(NameString(name) + Join(terms));
}

std::string Device(absl::string_view name, const Terms& terms) {
  return BytesOf(kExtOpPrefix) + BytesOf(kDeviceOp) + WithLength(NameString(name) + Join(terms));
}

std::string ResourceTemplate(const Terms& descriptors) {
  // The end tag's checksum byte may be 0: "not computed".
  const std::string bytes = Join(descriptors) + BytesOf(kEndTag) + BytesOf('\0');
  return BytesOf(kBufferOp) + WithLength(Integer(bytes.size()) + bytes);
}

std::string IoPorts(uint16_t base, uint8_t count) {
  constexpr uint8_t kDecodes16Bits = 1;
  constexpr uint8_t kAlignment = 1;
  return BytesOf(kIoPortTag) + BytesOf(kDecodes16Bits) + BytesOf(base) + BytesOf(base) +
         BytesOf(kAlignment) + BytesOf(count);
}

std::string Memory32Fixed(uint32_t base, uint32_t size) {
  constexpr uint8_t kReadWrite = 1;
  return BytesOf(kMemory32FixedTag) + BytesOf(uint16_t{9}) + BytesOf(kReadWrite) + BytesOf(base) +
         BytesOf(size);
}

std::string Interrupt(uint32_t gsi) {
  constexpr uint8_t kConsumer = 1 << 0;
  constexpr uint8_t kEdgeTriggered = 1 << 1;
  constexpr uint8_t kOneInterrupt = 1;
  return BytesOf(kExtendedInterruptTag) + BytesOf(uint16_t{6}) +
         BytesOf(uint8_t{kConsumer | kEdgeTriggered}) + BytesOf(kOneInterrupt) + BytesOf(gsi);
}

}  // namespace hearth::aml
