# SPDX-License-Identifier: Apache-2.0
"""What json_codegen.py refuses, and what it writes, through its command line."""

import os
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def generate(body):
    """(exit status, messages, text of x.json.cc) for a .proto with these messages."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "x.proto"), "w", encoding="utf-8") as f:
            f.write('syntax = "proto3";\npackage hearth;\n' + body)
        subprocess.run(["protoc", "-I.", "--include_imports", "--include_source_info", "--descriptor_set_out=x.set",
                        "x.proto"], cwd=folder, check=True)
        # Debian's interpreter, as in proto.bzl: python3-protobuf belongs to it.
        done = subprocess.run(["/usr/bin/python3", "-B", os.path.join(HERE, "json_codegen.py"), "x.set", ".",
                               "x.proto"], cwd=folder, check=False, stderr=subprocess.PIPE, text=True)
        path = os.path.join(folder, "x.json.cc")
        text = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                text = f.read()
        return done.returncode, done.stderr, text


class JsonCodegenTest(unittest.TestCase):
    def refused(self, body, why):
        status, messages, _ = generate(body)
        self.assertNotEqual(status, 0)
        self.assertIn(why, messages)

    def test_annotations_become_a_row(self):
        status, messages, text = generate("""
message M {
  // Prose.
  // @json "a-b"
  // @range 1..64
  // @required
  // @default several
  // lines
  optional uint32 a_b = 1;
}""")
        self.assertEqual((status, messages), (0, ""))
        for part in ('.name = "a-b"', ".required = true", ".min = 1", ".max = 64u", "set_a_b(static_cast<uint32_t>"):
            self.assertIn(part, text)

    def test_a_scalar_must_be_optional(self):
        self.refused("message M { uint32 a = 1; }", "M.a: declare it optional")

    def test_types_without_a_json_form(self):
        self.refused("message M { optional bytes a = 1; }", "M.a: this type has no JSON form")
        self.refused("message M { optional double a = 1; }", "M.a: this type has no JSON form")
        self.refused("message M { oneof o { uint32 a = 1; } }", "M.a: oneof has no JSON form")
        self.refused("message M { map<string, uint32> a = 1; }", "a map has no JSON form")

    def test_an_internal_message_has_no_table(self):
        status, _, text = generate("// @internal\nmessage M { bytes a = 1; }")
        self.assertEqual(status, 0)
        self.assertNotIn("kMSchema", text)
        self.refused("// @internal\nmessage M { bytes a = 1; }\nmessage N { M m = 1; }",
                     "hearth.M: an @internal message has no JSON")

    def test_annotations_must_fit(self):
        field = "message M {\n  // %s\n  optional %s a = 1;\n}"
        self.refused(field % ("@rnage 1..2", "uint32"), "hearth.M.a: @rnage is not known on a field")
        self.refused(field % ("@range 1-2", "uint32"), "M.a: @range wants MIN..MAX")
        self.refused(field % ("@range -1..2", "uint32"), "M.a: @range does not fit the type")
        self.refused(field % ("@range 2..1", "uint32"), "M.a: @range does not fit the type")
        self.refused(field % ("@range 1..2", "string"), "M.a: @range is not for this type")
        self.refused(field % ("@length 1..2", "bool"), "M.a: @length is not for this type")
        self.refused(field % ("@ignore_case", "string"), "M.a: @ignore_case is for enums")
        self.refused(field % ("@required\n  // @required", "bool"), "@required is there twice")

    def test_names_are_unique(self):
        self.refused('message M {\n// @json "b"\noptional bool a = 1;\noptional bool b = 2;\n}', "two of one JSON name")
        self.refused('enum E {\n// @json "b"\nA = 0;\nb = 1;\n}', "its JSON name is taken")


if __name__ == "__main__":
    unittest.main()
