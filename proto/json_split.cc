// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/json_sax.h"
#include "proto/json_schema.h"

namespace hearth::json {
namespace {

using rapidjson::SizeType;

// The SAX handler of SplitObject(): notes where the objects of the second level begin and end.
class Splitter : public internal::NoNumbers {
 public:
  Splitter(absl::string_view json, const rapidjson::MemoryStream& stream, std::vector<Member>* out)
      : json_(json), stream_(stream), out_(out) {}

  const std::string& error() const { return error_; }

  bool Null() { return Scalar(); }
  bool Bool(bool) { return Scalar(); }
  bool RawNumber(const char*, SizeType, bool) { return Scalar(); }
  bool String(const char*, SizeType, bool) { return Scalar(); }

  bool Key(const char* data, SizeType size, bool) {
    if (depth_ != 1) return true;
    for (const Member& member : *out_) {
      if (member.name == absl::string_view(data, size)) {
        return Fail(absl::StrCat(member.name, ": is there twice"));
      }
    }
    out_->push_back({.name = std::string(data, size)});
    return true;
  }

  bool StartObject() {
    if (depth_ == Level()) start_ = stream_.Tell() - 1;  // the brace was taken already
    return Enter();
  }

  bool EndObject(SizeType) {
    --depth_;
    if (depth_ > 0 && depth_ == Level())
      out_->back().objects.push_back(json_.substr(start_, stream_.Tell() - start_));
    return true;
  }

  bool StartArray() {
    if (depth_ == 0) return Scalar();
    if (depth_ == 1)
      out_->back().is_array = true;
    else if (depth_ == Level())
      return Scalar();
    return Enter();
  }

  bool EndArray(SizeType) {
    --depth_;
    return true;
  }

 private:
  // How deep the objects that are cut out begin: 1, or 2 inside an array.
  size_t Level() const { return !out_->empty() && out_->back().is_array ? 2 : 1; }

  bool Enter() {
    if (++depth_ > 2 * kMaxDepth)
      return Fail(absl::StrCat(out_->back().name, ": nested too deeply"));
    return true;
  }

  bool Scalar() {
    if (depth_ == 0) return Fail("must be a JSON object");
    if (depth_ > Level()) return true;
    return Fail(absl::StrCat(
        out_->back().name, ": must be an object",
        out_->back().is_array ? " in each place of the array" : " or an array of objects"));
  }

  bool Fail(std::string message) {
    error_ = std::move(message);
    return false;
  }

  const absl::string_view json_;
  const rapidjson::MemoryStream& stream_;
  std::vector<Member>* const out_;
  size_t depth_ = 0;
  size_t start_ = 0;
  std::string error_;
};

}  // namespace

absl::StatusOr<std::vector<Member>> SplitObject(absl::string_view json) {
  std::vector<Member> members;
  rapidjson::MemoryStream stream(json.data(), json.size());
  Splitter splitter(json, stream, &members);
  HEARTH_RETURN_IF_ERROR(internal::ParseSax(json, stream, splitter));
  return members;
}

}  // namespace hearth::json
