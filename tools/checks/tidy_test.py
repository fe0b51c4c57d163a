# SPDX-License-Identifier: Apache-2.0
import unittest

import tidy


class TidyTest(unittest.TestCase):
    def test_flags_of_gcc_and_outputs_go(self):
        self.assertEqual(tidy.clang_arguments(["/usr/bin/gcc", "-Wall", "-MD", "-MF", "x.d", "-frandom-seed=x.o",
                                               "-fno-canonical-system-headers", "-c", "a.cc", "-o", "a.o"]),
                         ["clang++", "-Wall", "-c", "a.cc"])

    def test_our_sources_once(self):
        compile_action = {"arguments": ["gcc", "-c", "base/log.cc", "-o", "log.o"]}
        actions = {"actions": [compile_action, compile_action,
                               {"arguments": ["gcc", "-c", "external/system/llhttp.c"]},
                               {"arguments": ["gcc", "-c", "bazel-out/x/y.pb.cc"]}, {"arguments": ["gcc", "-shared"]}]}
        commands = tidy.compile_commands(actions, "/root-of-actions")
        self.assertEqual([c["file"] for c in commands], ["base/log.cc"])


if __name__ == "__main__":
    unittest.main()
