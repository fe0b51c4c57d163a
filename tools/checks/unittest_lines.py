#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the Python unit tests of folders and prints PASS, FAIL and SKIP lines. usage: unittest_lines.py FOLDER..."""

import sys
import unittest

sys.dont_write_bytecode = True


class LineResult(unittest.TestResult):
    def _name(self, test):
        return test.id().replace(" ", "_")

    def addSuccess(self, test):
        print(f"PASS {self._name(test)}")

    def _bad(self, test, err):
        print(self._exc_info_to_string(err, test), end="")
        print(f"FAIL {self._name(test)}: {str(err[1]).splitlines()[0] if str(err[1]) else err[0].__name__}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._bad(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"SKIP {self._name(test)}: skipped, because {reason}")


def main(folders):
    good = True
    for folder in folders:
        result = LineResult()
        sys.path.insert(0, folder)
        unittest.defaultTestLoader.discover(folder, "*_test.py", folder).run(result)
        sys.path.remove(folder)
        good &= result.wasSuccessful()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
