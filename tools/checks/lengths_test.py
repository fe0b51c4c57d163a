# SPDX-License-Identifier: Apache-2.0
import unittest
from unittest import mock

import lengths


class LengthsTest(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.dict(lengths.REASONS, {"long.cc": "a table"}, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def test_short_files_and_reasons_pass(self):
        self.assertEqual(lengths.check({"a.cc": 400, "long.cc": 700}), [])

    def test_over_400_wants_a_reason(self):
        self.assertIn("a.cc: 401 lines", lengths.check({"a.cc": 401})[0])

    def test_over_800_fails_even_with_a_reason(self):
        self.assertIn("split it by concept", lengths.check({"long.cc": 801})[0])

    def test_a_stale_reason_is_a_problem(self):
        self.assertIn("no reason any more", lengths.check({"long.cc": 10})[0])

    def test_scripts_without_suffix_count(self):
        self.assertTrue(lengths.is_source("tools/dev", "#!/usr/bin/env bash\n"))
        self.assertFalse(lengths.is_source("README.md", "# Hearth\n"))


if __name__ == "__main__":
    unittest.main()
