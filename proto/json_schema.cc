// SPDX-License-Identifier: Apache-2.0
#include "proto/json_schema.h"

#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "proto/json_sax.h"

namespace hearth::json {
namespace {

using ::google::protobuf::MessageLite;
using rapidjson::SizeType;

// How much of a refused value an error repeats.
constexpr size_t kShownBytes = 40;

std::string Shown(absl::string_view text) {
  if (text.size() <= kShownBytes) return std::string(text);
  // Not in the middle of a UTF-8 sequence.
  size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "...");
}

std::string ShownString(absl::string_view text) {
  std::string out;
  AppendString(Shown(text), &out);
  return out;
}

// The first name of each value.
std::vector<std::string> PrimaryNames(const Field& field) {
  std::vector<std::string> names;
  for (size_t i = 0; i < field.values.size(); ++i) {
    if (i > 0 && field.values[i].number == field.values[i - 1].number) continue;
    names.push_back(absl::StrCat("\"", field.values[i].name, "\""));
  }
  return names;
}

// The value that the field takes, as the end of "must be ...".
std::string Wanted(const Field& field, bool element) {
  if (field.repeated && !element) return "an array";
  switch (field.type) {
    case Type::kBool:
      return "true or false";
    case Type::kSigned:
    case Type::kUnsigned:
      return absl::StrCat("an integer from ", field.min, " to ", field.max);
    case Type::kString:
      if (field.min == 0 && field.max == UINT32_MAX) return "a string";
      if (field.max == UINT32_MAX)
        return absl::StrCat("a string of at least ", field.min, " bytes");
      return absl::StrCat("a string of ", field.min, " to ", field.max, " bytes");
    case Type::kEnum:
      return absl::StrCat("one of ", absl::StrJoin(PrimaryNames(field), ", "));
    case Type::kMessage:
      return "an object";
  }
  return "something else";
}

// The SAX handler that fills a message.
class Filler : public internal::NoNumbers {
 public:
  Filler(const Schema& schema, Presence presence, MessageLite* root)
      : root_schema_(schema), presence_(presence), root_(root) {}

  const std::string& error() const { return error_; }

  bool Null() {
    const Field* field = Expect();
    if (field == nullptr) return Refuse("null");
    if (field->required || field->repeated) return Refuse("null");
    return true;
  }

  bool Bool(bool b) {
    const Field* field = Expect();
    if (field == nullptr || field->type != Type::kBool) return Refuse(b ? "true" : "false");
    return Set({.boolean = b});
  }

  bool RawNumber(const char* data, SizeType size, bool) {
    const Field* field = Expect();
    if (field == nullptr) return Refuse(Shown({data, size}));
    if (field->type == Type::kSigned) {
      int64_t v = 0;
      const auto [end, code] = std::from_chars(data, data + size, v);
      // max fits an int64_t: the generator checks it against the type.
      if (code == std::errc() && end == data + size && v >= field->min &&
          v <= static_cast<int64_t>(field->max)) {
        return Set({.signed_integer = v});
      }
    } else if (field->type == Type::kUnsigned) {
      uint64_t v = 0;
      const auto [end, code] = std::from_chars(data, data + size, v);
      if (code == std::errc() && end == data + size && v >= static_cast<uint64_t>(field->min) &&
          v <= field->max) {
        return Set({.unsigned_integer = v});
      }
    }
    return Refuse(Shown({data, size}));
  }

  bool String(const char* data, SizeType size, bool) {
    const absl::string_view text(data, size);
    const Field* field = Expect();
    if (field != nullptr && field->type == Type::kString) {
      if (absl::StrContains(text, '\0'))
        return Fail(absl::StrCat(Path(), ": must not contain a NUL character"));
      if (text.size() < static_cast<uint64_t>(field->min) || text.size() > field->max) {
        return Fail(absl::StrCat(Path(), ": got ", size, " bytes, must be ", Wanted(*field, true)));
      }
      return Set({.text = text});
    }
    if (field != nullptr && field->type == Type::kEnum) {
      for (const EnumValue& value : field->values) {
        if (value.name == text ||
            (field->ignore_case && absl::EqualsIgnoreCase(value.name, text))) {
          return Set({.signed_integer = value.number});
        }
      }
    }
    return Refuse(ShownString(text));
  }

  bool StartObject() {
    if (depth_ == 0) {
      frames_[depth_++] = {.schema = &root_schema_, .message = root_};
      return true;
    }
    const Field* field = Expect();
    if (field == nullptr || field->type != Type::kMessage) return Refuse("an object");
    if (depth_ == kMaxDepth) return Fail(absl::StrCat(Path(), ": nested too deeply"));
    MessageLite* message = field->set(*Top().message, {});
    frames_[depth_++] = {.schema = field->schema, .message = message};
    return true;
  }

  bool Key(const char* data, SizeType size, bool) {
    const absl::string_view name(data, size);
    Frame& frame = Top();
    frame.field = nullptr;
    for (size_t i = 0; i < frame.schema->fields.size(); ++i) {
      const Field& field = frame.schema->fields[i];
      if (field.name != name) continue;
      frame.field = &field;
      if ((frame.seen >> i & 1) != 0) return Fail(absl::StrCat(Path(), ": is there twice"));
      frame.seen |= uint64_t{1} << i;
      return true;
    }
    return FailUnknown(name);
  }

  bool EndObject(SizeType) {
    const Frame& frame = Top();
    // Only the members of the outermost message may be missing in a PATCH.
    if (presence_ == Presence::kFull || depth_ > 1) {
      std::vector<absl::string_view> missing;
      for (size_t i = 0; i < frame.schema->fields.size(); ++i) {
        if (frame.schema->fields[i].required && (frame.seen >> i & 1) == 0)
          missing.push_back(frame.schema->fields[i].name);
      }
      if (!missing.empty()) {
        return Fail(absl::StrCat(Prefix(), "missing required field",
                                 missing.size() > 1 ? "s " : " ", absl::StrJoin(missing, ", ")));
      }
    }
    --depth_;
    return true;
  }

  bool StartArray() {
    if (depth_ == 0 || !Top().field->repeated || Top().in_array) return Refuse("an array");
    Top().in_array = true;
    return true;
  }

  bool EndArray(SizeType) {
    Top().in_array = false;
    return true;
  }

 private:
  struct Frame {
    const Schema* schema = nullptr;
    MessageLite* message = nullptr;
    const Field* field = nullptr;  // the member that is being read
    uint64_t seen = 0;             // bit i: fields[i] had its key
    bool in_array = false;
  };

  Frame& Top() { return frames_[depth_ - 1]; }

  // The field that takes a value here; nullptr where only an object or an array can be.
  const Field* Expect() {
    if (depth_ == 0) return nullptr;
    const Field* field = Top().field;
    return field->repeated && !Top().in_array ? nullptr : field;
  }

  bool Set(const Value& value) {
    Top().field->set(*Top().message, value);
    return true;
  }

  // The members on the way to the outermost `depth` objects, such as "rate_limiter.bandwidth" or
  // "drives[2]".
  std::string PathOf(size_t depth) const {
    std::string path;
    for (size_t i = 0; i < depth && frames_[i].field != nullptr; ++i) {
      absl::StrAppend(&path, i > 0 ? "." : "", frames_[i].field->name);
      if (!frames_[i].in_array) continue;
      // A message that is being read counts already.
      const int count = frames_[i].field->count(*frames_[i].message);
      absl::StrAppend(&path, "[", i + 1 < depth_ ? count - 1 : count, "]");
    }
    return path;
  }
  std::string Path() const { return PathOf(depth_); }
  // For errors about the innermost object as a whole.
  std::string Prefix() const { return depth_ > 1 ? absl::StrCat(PathOf(depth_ - 1), ": ") : ""; }

  bool Fail(std::string message) {
    error_ = std::move(message);
    return false;
  }

  bool Refuse(absl::string_view got) {
    if (depth_ == 0) return Fail(absl::StrCat("got ", got, ", must be a JSON object"));
    return Fail(
        absl::StrCat(Path(), ": got ", got, ", must be ", Wanted(*Top().field, Top().in_array)));
  }

  bool FailUnknown(absl::string_view name) {
    std::vector<absl::string_view> known;
    for (const Field& field : Top().schema->fields) known.push_back(field.name);
    const absl::string_view nearest = base::Nearest(name, known);
    return Fail(
        absl::StrCat(Prefix(), "unknown field ", ShownString(name),
                     nearest.empty() ? "" : absl::StrCat(", did you mean \"", nearest, "\"?"),
                     " (known: ", absl::StrJoin(known, ", "), ")"));
  }

  const Schema& root_schema_;
  const Presence presence_;
  MessageLite* const root_;
  std::array<Frame, kMaxDepth> frames_;
  size_t depth_ = 0;
  std::string error_;
};

}  // namespace

absl::Status MergeFromJson(absl::string_view json, const Schema& schema, Presence presence,
                           MessageLite* out) {
  const std::unique_ptr<MessageLite> parsed = schema.create();
  rapidjson::MemoryStream stream(json.data(), json.size());
  Filler filler(schema, presence, parsed.get());
  HEARTH_RETURN_IF_ERROR(internal::ParseSax(json, stream, filler));
  out->CheckTypeAndMergeFrom(*parsed);
  return absl::OkStatus();
}

const Field* FindField(const Schema& schema, absl::string_view name) {
  for (const Field& field : schema.fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

}  // namespace hearth::json
