// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/json_schema.h"

namespace hearth::json {
namespace {

using ::google::protobuf::MessageLite;

void AppendValue(const Field& field, const Value& value, std::string* out);

void AppendMessage(const MessageLite& message, const Schema& schema, std::string* out) {
  *out += '{';
  bool first = true;
  for (const Field& field : schema.fields) {
    const int count = field.count(message);
    if (count == 0) continue;
    if (!std::exchange(first, false)) *out += ',';
    AppendString(field.name, out);
    *out += ':';
    if (field.repeated) *out += '[';
    for (int i = 0; i < count; ++i) {
      if (i > 0) *out += ',';
      AppendValue(field, field.get(message, i), out);
    }
    if (field.repeated) *out += ']';
  }
  *out += '}';
}

void AppendValue(const Field& field, const Value& value, std::string* out) {
  switch (field.type) {
    case Type::kBool:
      *out += value.boolean ? "true" : "false";
      return;
    case Type::kSigned:
      absl::StrAppend(out, value.signed_integer);
      return;
    case Type::kUnsigned:
      absl::StrAppend(out, value.unsigned_integer);
      return;
    case Type::kString:
      AppendString(value.text, out);
      return;
    case Type::kEnum:
      for (const EnumValue& known : field.values) {
        if (known.number == value.signed_integer) return AppendString(known.name, out);
      }
      absl::StrAppend(out, value.signed_integer);  // a value without a name
      return;
    case Type::kMessage:
      AppendMessage(*value.message, *field.schema, out);
      return;
  }
}

// The length of the valid UTF-8 sequence that `text` begins with, 0 if there is none (RFC 3629,
// "Syntax of UTF-8 Byte Sequences").
size_t SequenceLength(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead == 0xe0) low = 0xa0;   // overlong
  if (lead == 0xed) high = 0x9f;  // surrogates
  if (lead == 0xf0) low = 0x90;   // overlong
  if (lead == 0xf4) high = 0x8f;  // above U+10FFFF
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string ToJson(const MessageLite& message, const Schema& schema) {
  std::string out;
  AppendMessage(message, schema, &out);
  return out;
}

void AppendString(absl::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += '"';
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const auto c = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      *out += "\xef\xbf\xbd";  // U+FFFD
    } else if (c == '"' || c == '\\') {
      *out += '\\';
      *out += text[0];
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      *out += "\\u00";
      *out += kHex[c >> 4];
      *out += kHex[c & 0xf];
    } else {
      out->append(text.data(), length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  *out += '"';
}

}  // namespace hearth::json
