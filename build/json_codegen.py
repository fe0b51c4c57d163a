#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes x.json.h and x.json.cc, the constant JSON tables of proto/json_schema.h, for .proto files.

usage: json_codegen.py DESCRIPTOR_SET OUT_DIR FILE.proto...

DESCRIPTOR_SET comes from protoc --include_imports --include_source_info. The annotations that it reads from the
comments are described in proto/json_schema.h. tools/check-api-docs imports the reading half of this file.
"""

import os
import re
import sys

from google.protobuf import descriptor_pb2

FieldProto = descriptor_pb2.FieldDescriptorProto

INTEGER_LIMITS = {
    FieldProto.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldProto.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldProto.TYPE_UINT32: (0, 2**32 - 1),
    FieldProto.TYPE_UINT64: (0, 2**64 - 1),
}
# Long enough for every string that a request can carry.
MAX_STRING = 2**32 - 1

ANNOTATION = re.compile(r"^@(\w+)[ \t]*(.*)$")
KNOWN = {
    "message": {"internal"},
    "field": {"required", "range", "length", "json", "ignore_case", "default"},
    "enum": set(),
    "value": {"json"},
}


class ProtoError(Exception):
    """A .proto that the JSON tables cannot express; the text names the element."""


class Comment:
    """A comment's prose and annotations."""

    def __init__(self, text, kind, where):
        self.prose = []
        self.tags = {}
        tag = None
        for line in text.splitlines():
            match = ANNOTATION.match(line.strip())
            if not match and tag:
                self.tags[tag] = f"{self.tags[tag]} {line.strip()}".strip()
            elif not match:
                self.prose.append(line.strip())
            elif match[1] not in KNOWN[kind]:
                raise ProtoError(f"{where}: @{match[1]} is not known on a {kind}")
            elif match[1] in self.tags:
                raise ProtoError(f"{where}: @{match[1]} is there twice")
            else:
                tag = match[1]
                self.tags[tag] = match[2].strip()
        self.prose = " ".join(p for p in self.prose if p)

    def names(self):
        return re.findall(r'"([^"]*)"', self.tags.get("json", ""))


class Field:
    def __init__(self, message, proto, comment):
        self.where = f"{message.name}.{proto.name}"
        self.proto = proto
        self.doc = comment.prose
        self.default = comment.tags.get("default")
        self.required = "required" in comment.tags
        self.ignore_case = "ignore_case" in comment.tags
        self.repeated = proto.label == FieldProto.LABEL_REPEATED
        names = comment.names() or [proto.name]
        self.json_name = names[0]
        kind = proto.type
        if proto.HasField("oneof_index") and not proto.proto3_optional:
            raise ProtoError(f"{self.where}: oneof has no JSON form here")
        if kind not in (*INTEGER_LIMITS, *(FieldProto.TYPE_BOOL, FieldProto.TYPE_STRING),
                        FieldProto.TYPE_ENUM, FieldProto.TYPE_MESSAGE):
            raise ProtoError(f"{self.where}: this type has no JSON form here")
        if not self.repeated and kind != FieldProto.TYPE_MESSAGE and not proto.proto3_optional:
            raise ProtoError(f"{self.where}: declare it optional, so that unset and zero differ")
        if self.ignore_case and kind != FieldProto.TYPE_ENUM:
            raise ProtoError(f"{self.where}: @ignore_case is for enums")
        self.limits = self._limits(comment)
        self.has_range = "range" in comment.tags or "length" in comment.tags

    def _limits(self, comment):
        kind = self.proto.type
        tag, natural = None, (0, 0)
        if kind in INTEGER_LIMITS:
            tag, natural = "range", INTEGER_LIMITS[kind]
        elif kind == FieldProto.TYPE_STRING:
            tag, natural = "length", (0, MAX_STRING)
        for wrong in {"range", "length"} - {tag}:
            if wrong in comment.tags:
                raise ProtoError(f"{self.where}: @{wrong} is not for this type")
        if tag not in comment.tags:
            return natural
        match = re.fullmatch(r"(-?\d*)\.\.(-?\d*)", comment.tags[tag])
        if not match:
            raise ProtoError(f"{self.where}: @{tag} wants MIN..MAX")
        low = int(match[1]) if match[1] else natural[0]
        high = int(match[2]) if match[2] else natural[1]
        if not natural[0] <= low <= high <= natural[1]:
            raise ProtoError(f"{self.where}: @{tag} does not fit the type")
        return low, high


class Message:
    def __init__(self, proto, package, file, full_name):
        self.proto = proto
        self.package = package
        self.file = file
        self.full_name = full_name  # "hearth.Outer.Inner"
        self.name = full_name[len(package) + 1:]
        self.cpp_name = self.name.replace(".", "_")
        self.doc = ""
        self.fields = []


class Enum:
    def __init__(self, full_name):
        self.full_name = full_name
        self.values = []  # (number, [names], doc)


class Schemas:
    """Every message and enum of a descriptor set, by full name."""

    def __init__(self, descriptor_set):
        self.messages, self.enums, self.files = {}, {}, {}
        for file in descriptor_set.file:
            comments = {
                tuple(location.path): location.leading_comments + location.trailing_comments
                for location in file.source_code_info.location
            }
            self.files[file.name] = file
            for i, enum in enumerate(file.enum_type):
                self._enum(enum, file.package, (5, i), comments)
            for i, message in enumerate(file.message_type):
                self._message(message, file, file.package, (4, i), comments)

    def _enum(self, proto, scope, path, comments):
        enum = Enum(f"{scope}.{proto.name}")
        seen = set()
        for i, value in enumerate(proto.value):
            where = f"{enum.full_name}.{value.name}"
            comment = Comment(comments.get((*path, 2, i), ""), "value", where)
            names = comment.names()
            if not names and not value.name.endswith("_UNSPECIFIED"):
                names = [value.name]
            if seen & set(names):
                raise ProtoError(f"{where}: its JSON name is taken")
            seen |= set(names)
            enum.values.append((value.number, names, comment.prose))
        self.enums[enum.full_name] = enum

    def _message(self, proto, file, scope, path, comments):
        full_name = f"{scope}.{proto.name}"
        if proto.options.map_entry:
            raise ProtoError(f"{full_name}: a map has no JSON form here")
        comment = Comment(comments.get(path, ""), "message", full_name)
        if "internal" in comment.tags:
            return
        message = Message(proto, file.package, file.name, full_name)
        message.doc = comment.prose
        for i, enum in enumerate(proto.enum_type):
            self._enum(enum, full_name, (*path, 4, i), comments)
        for i, nested in enumerate(proto.nested_type):
            self._message(nested, file, full_name, (*path, 3, i), comments)
        for i, field in enumerate(proto.field):
            where = f"{full_name}.{field.name}"
            message.fields.append(Field(message, field, Comment(comments.get((*path, 2, i), ""), "field", where)))
        names = [f.json_name for f in message.fields]
        if len(names) > 64 or len(names) != len(set(names)):
            raise ProtoError(f"{full_name}: over 64 fields, or two of one JSON name")
        self.messages[full_name] = message

    def in_file(self, file):
        return [m for m in self.messages.values() if m.file == file]


def load(path):
    descriptor_set = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as f:
        descriptor_set.ParseFromString(f.read())
    return Schemas(descriptor_set)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def schema_name(message):
    return f"k{message.cpp_name}Schema"


def qualified(full_name, schemas):
    message = schemas.messages.get(full_name)
    if message is None:
        raise ProtoError(f"{full_name}: an @internal message has no JSON")
    return f"::{message.package.replace('.', '::')}::{schema_name(message)}"


def signed_literal(value):
    return "INT64_MIN" if value == -(2**63) else f"{value}"


def enum_cpp_type(enum_name, schemas):
    """hearth.MachineConfig.HugePages is ::hearth::MachineConfig_HugePages in C++."""
    for message in schemas.messages.values():
        prefix = message.full_name + "."
        if enum_name.startswith(prefix) and "." not in enum_name[len(prefix):]:
            return f"::{message.package.replace('.', '::')}::{message.cpp_name}_{enum_name[len(prefix):]}"
    return "::" + enum_name.replace(".", "::")


def field_row(message, field, schemas):
    kind = field.proto.type
    name = field.proto.name.lower()
    type_name = field.proto.type_name.lstrip(".")
    row = [f".name = {quoted(field.json_name)}"]
    add = "add" if field.repeated else "set"
    index = "i" if field.repeated else ""
    if kind == FieldProto.TYPE_BOOL:
        row.append(".type = json::Type::kBool")
        member, write = "boolean", f"As(m).{add}_{name}(v.boolean)"
    elif kind in INTEGER_LIMITS:
        unsigned = INTEGER_LIMITS[kind][0] == 0
        row.append(f".type = json::Type::{'kUnsigned' if unsigned else 'kSigned'}")
        member = "unsigned_integer" if unsigned else "signed_integer"
        cpp = {FieldProto.TYPE_INT32: "int32_t", FieldProto.TYPE_INT64: "int64_t",
               FieldProto.TYPE_UINT32: "uint32_t", FieldProto.TYPE_UINT64: "uint64_t"}[kind]
        write = f"As(m).{add}_{name}(static_cast<{cpp}>(v.{member}))"
    elif kind == FieldProto.TYPE_STRING:
        row.append(".type = json::Type::kString")
        member, write = "text", f"As(m).{add}_{name}(v.text.data(), v.text.size())"
    elif kind == FieldProto.TYPE_ENUM:
        row.append(".type = json::Type::kEnum")
        cpp = enum_cpp_type(type_name, schemas)
        member, write = "signed_integer", f"As(m).{add}_{name}(static_cast<{cpp}>(v.signed_integer))"
    else:
        row.append(".type = json::Type::kMessage")
        write = None
    for flag in ("required", "repeated", "ignore_case"):
        if getattr(field, flag):
            row.append(f".{flag} = true")
    if kind in INTEGER_LIMITS or kind == FieldProto.TYPE_STRING:
        row.append(f".min = {signed_literal(field.limits[0])}")
        row.append(f".max = {field.limits[1]}u")
    if kind == FieldProto.TYPE_ENUM:
        row.append(f".values = k{type_name.replace('.', '_')}Values")
    if kind == FieldProto.TYPE_MESSAGE:
        row.append(f".schema = &{qualified(type_name, schemas)}")
    if field.repeated:
        row.append(f".count = [](const MessageLite& m) -> int {{ return As(m).{name}_size(); }}")
    else:
        row.append(f".count = [](const MessageLite& m) -> int {{ return As(m).has_{name}() ? 1 : 0; }}")
    i = " i" if field.repeated else ""
    if kind == FieldProto.TYPE_MESSAGE:
        mutable = f"add_{name}" if field.repeated else f"mutable_{name}"
        row.append(f".get = [](const MessageLite& m, int{i}) -> Value {{ return {{.message = &As(m).{name}({index})}}; }}")
        row.append(f".set = [](MessageLite& m, const Value&) -> MessageLite* {{ return As(m).{mutable}(); }}")
    else:
        row.append(f".get = [](const MessageLite& m, int{i}) -> Value {{ return {{.{member} = As(m).{name}({index})}}; }}")
        row.append(f".set = [](MessageLite& m, const Value& v) -> MessageLite* {{ {write}; return nullptr; }}")
    return "      {" + ",\n       ".join(row) + "},\n"


def used_enums(messages):
    return sorted({f.proto.type_name.lstrip(".") for m in messages for f in m.fields
                   if f.proto.type == FieldProto.TYPE_ENUM})


def header_text(stem, messages, schemas):
    guard = "HEARTH_" + re.sub(r"\W", "_", stem).upper() + "_JSON_H_"
    lines = [f"// Written by build/json_codegen.py from {stem}.proto.", f"#ifndef {guard}", f"#define {guard}", "",
             '#include "proto/json_schema.h"', f'#include "{stem}.pb.h"', ""]
    for message in messages:
        ns = message.package.replace(".", "::")
        lines.append(f"namespace {ns} {{ extern const ::hearth::json::Schema {schema_name(message)}; }}")
    lines += ["", f"#endif  // {guard}", ""]
    return "\n".join(lines)


def source_text(stem, messages, file, schemas):
    out = [f"// Written by build/json_codegen.py from {stem}.proto.", f'#include "{stem}.json.h"', ""]
    for dependency in file.dependency:
        if schemas.in_file(dependency):
            out.append(f'#include "{dependency[:-len(".proto")]}.json.h"')
    out += ["", "#include <cstdint>", "#include <memory>", "", "namespace {", "namespace json = ::hearth::json;",
            "using ::google::protobuf::MessageLite;", "using json::Value;", ""]
    for enum_name in used_enums(messages):
        out.append(f"constexpr json::EnumValue k{enum_name.replace('.', '_')}Values[] = {{")
        out += [f"    {{{quoted(name)}, {number}}}," for number, names, _ in schemas.enums[enum_name].values
                for name in names]
        out.append("};")
    out += ["}  // namespace", ""]
    for message in messages:
        ns = message.package.replace(".", "::")
        cpp = f"::{ns}::{message.cpp_name}"
        out += [f"namespace {ns} {{", "namespace {", f"struct {message.cpp_name}Table {{",
                f"  static const {cpp}& As(const MessageLite& m) {{ return static_cast<const {cpp}&>(m); }}",
                f"  static {cpp}& As(MessageLite& m) {{ return static_cast<{cpp}&>(m); }}"]
        if message.fields:
            out.append("  static constexpr json::Field kFields[] = {")
            out += [field_row(message, field, schemas).rstrip("\n") for field in message.fields]
            out.append("  };")
        else:
            out.append("  static constexpr absl::Span<const json::Field> kFields = {};")
        out += ["};", "}  // namespace",
                f"constinit const json::Schema {schema_name(message)} = {{{quoted(message.name)}, "
                f"{message.cpp_name}Table::kFields,",
                f"    []() -> std::unique_ptr<MessageLite> {{ return std::make_unique<{cpp}>(); }}}};",
                f"}}  // namespace {ns}", ""]
    return "\n".join(out)


def main(argv):
    if len(argv) < 4:
        sys.exit(__doc__)
    try:
        schemas = load(argv[1])
        for name in argv[3:]:
            stem = name[:-len(".proto")]
            messages = schemas.in_file(name)
            base = os.path.join(argv[2], stem)
            with open(base + ".json.h", "w", encoding="utf-8") as f:
                f.write(header_text(stem, messages, schemas))
            with open(base + ".json.cc", "w", encoding="utf-8") as f:
                f.write(source_text(stem, messages, schemas.files[name], schemas))
    except ProtoError as error:
        sys.exit(f"json_codegen: {error}")


if __name__ == "__main__":
    main(sys.argv)
