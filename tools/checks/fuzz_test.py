# SPDX-License-Identifier: Apache-2.0
import unittest

import fuzz

LABELS = ["//devices/bus:bus_fuzz", "//runtime/boot:elf_fuzz"]


class FuzzTest(unittest.TestCase):
    def test_targets_by_part_of_the_label(self):
        self.assertEqual(fuzz.choose(LABELS, []), LABELS)
        self.assertEqual(fuzz.choose(LABELS, ["elf"]), LABELS[1:])

    def test_a_word_that_fits_nothing_names_what_there_is(self):
        with self.assertRaisesRegex(ValueError, "no fuzzer fits 'net'; there are: //devices/bus:bus_fuzz"):
            fuzz.choose(LABELS, ["net"])

    def test_final_stats(self):
        self.assertEqual(fuzz.summary("x\nstat::number_of_executed_units: 20000\nstat::peak_rss_mb: 37\n"),
                         {"number_of_executed_units": 20000, "peak_rss_mb": 37})


if __name__ == "__main__":
    unittest.main()
