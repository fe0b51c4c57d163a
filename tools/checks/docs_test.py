# SPDX-License-Identifier: Apache-2.0
import unittest

import docs


def check(text, *there):
    return docs.check("docs/page.md", text, set(there).__contains__)


class DocsTest(unittest.TestCase):
    def test_links_are_relative_to_their_page(self):
        self.assertEqual(check("[a](api.md#part) ![b](images/x.svg)", "docs/api.md", "docs/images/x.svg"), [])
        self.assertIn("docs/page.md:2: the link gone.md", check("\n[a](gone.md)")[0])

    def test_links_elsewhere_are_not_followed(self):
        self.assertEqual(check("[a](https://example.org/x) [b](#part)"), [])

    def test_commands_must_exist(self):
        self.assertEqual(check("run `tools/test unit`.", "tools/test"), [])
        self.assertIn("no tools/gone", check("run `tools/gone`")[0])
        self.assertEqual(check("see /usr/share/tools/x"), [])


if __name__ == "__main__":
    unittest.main()
