# SPDX-License-Identifier: Apache-2.0
import unittest

import headers

APACHE = "SPDX-License-Identifier: Apache-2.0\n"


class HeadersTest(unittest.TestCase):
    def test_sources_and_scripts_want_a_licence(self):
        self.assertEqual(headers.check("a/b.cc", "// " + APACHE), [])
        self.assertEqual(len(headers.check("a/b.cc", "int x;\n")), 1)
        self.assertEqual(headers.check("tools/x", "#!/bin/sh\n# " + APACHE), [])
        self.assertEqual(len(headers.check("tools/x", "#!/bin/sh\n")), 1)
        self.assertEqual(headers.check("README.md", "# Hearth\n"), [])

    def test_the_kernel_module_is_gpl(self):
        self.assertEqual(len(headers.check("kvmmod/vm.c", "// " + APACHE)), 1)
        self.assertEqual(headers.check("kvmmod/vm.c", "// SPDX-License-Identifier: GPL-2.0-only\n"), [])

    def test_paths_of_one_machine(self):
        self.assertIn("x.md:2:", headers.check("x.md", "fine\nsee /home/joe/src\n")[0])
        self.assertEqual(headers.check("x.md", "~/.cache/hearth, /usr/bin, HOME=/root\n"), [])


if __name__ == "__main__":
    unittest.main()
