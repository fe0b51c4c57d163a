// SPDX-License-Identifier: Apache-2.0
// JSON for protobuf-lite messages: a strict parser and a printer over constant tables.
//
// build/json_codegen.py turns a .proto into tables (x.json.h, x.json.cc): one json::Schema a
// message, constant initialised, so that they cost nothing at start-up. The rules of a field are
// comment annotations in the .proto, which are its documentation too:
//
//   @required            the field must be there (Presence::kFull)
//   @range 1..64         the limits of an integer, both included; either end may be left out
//   @length 1..64        the limits of a string's length in bytes
//   @json "boot-source"  the JSON name of a field or enum value; further names of an enum value are
//   accepted as well
//   @ignore_case         the names of an enum field's values match in any case
//   @default TEXT        what holds when the field is not set; documentation only
//   @internal            on a message: no JSON
//
// Prose comes first; an annotation may go on for several lines. A value of an enum without @json
// goes by its own name; one that ends in _UNSPECIFIED has none.
//
// The dialect is JSON as in RFC 8259 with valid UTF-8 and nothing more: no comments, no trailing
// commas or bytes, no duplicate or unknown fields, no coercion (1.0 and "1" are no integers), no
// NUL in strings. null stands for "not set" where the field may be left out. Nothing here keeps
// state; any thread.
#ifndef HEARTH_PROTO_JSON_SCHEMA_H_
#define HEARTH_PROTO_JSON_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"

namespace hearth::json {

struct Schema;

enum class Type : uint8_t { kBool, kSigned, kUnsigned, kString, kEnum, kMessage };

// Whether the required fields of the outermost message must be there. A PATCH takes kPartial;
// messages inside it are replaced as a whole, so they have to be complete.
enum class Presence { kFull, kPartial };

// One value on its way in or out; the member that the field's type names is the one that holds.
struct Value {
  bool boolean = false;
  int64_t signed_integer = 0;  // kSigned, and the number of a kEnum
  uint64_t unsigned_integer = 0;
  absl::string_view text;                                  // kString
  const google::protobuf::MessageLite* message = nullptr;  // kMessage; out only
};

struct EnumValue {
  absl::string_view name;
  int number;
};

struct Field {
  absl::string_view name;
  Type type;
  bool required = false;
  bool repeated = false;
  bool ignore_case = false;
  // Integers: the value; strings: the length in bytes.
  int64_t min = 0;
  uint64_t max = 0;
  // kEnum. Of several names of a number the first is the one that is printed.
  absl::Span<const EnumValue> values = {};
  // kMessage.
  const Schema* schema = nullptr;

  // How many values are set: 0 or 1 unless repeated.
  int (*count)(const google::protobuf::MessageLite& message);
  Value (*get)(const google::protobuf::MessageLite& message, int index);
  // Sets, or appends to a repeated field. A kMessage field ignores `value` and returns the new
  // submessage to fill; others return nullptr.
  google::protobuf::MessageLite* (*set)(google::protobuf::MessageLite& message, const Value& value);
};

struct Schema {
  absl::string_view name;          // of the message, such as "MachineConfig"
  absl::Span<const Field> fields;  // at most 64
  std::unique_ptr<google::protobuf::MessageLite> (*create)();
};

// The deepest nesting of messages that is taken.
inline constexpr size_t kMaxDepth = 8;

// Parses `json`, one object, and merges it into `*out`, which must be of `schema`'s type. On an
// error (always InvalidArgument, "path.to.field: got VALUE, must be ...") `*out` stays as it was.
absl::Status MergeFromJson(absl::string_view json, const Schema& schema, Presence presence,
                           google::protobuf::MessageLite* out);

// The message as one line of JSON, fields in the order of the .proto, unset ones left out.
std::string ToJson(const google::protobuf::MessageLite& message, const Schema& schema);

// nullptr if there is none of that JSON name.
const Field* FindField(const Schema& schema, absl::string_view name);

// Appends `text` as a JSON string with its quotes. Bytes that are not valid UTF-8 become U+FFFD.
void AppendString(absl::string_view text, std::string* out);

// One member of an object: its name, and the text of the object, or of the objects in an array,
// that it holds.
struct Member {
  std::string name;
  bool is_array = false;
  std::vector<absl::string_view> objects;  // into the text that was split
};

// Takes an object apart whose members are objects or arrays of objects, as a configuration file's
// are. Only the outer level is looked at; the parts are valid JSON, but are otherwise still to be
// parsed.
absl::StatusOr<std::vector<Member>> SplitObject(absl::string_view json);

}  // namespace hearth::json

#endif  // HEARTH_PROTO_JSON_SCHEMA_H_
