# SPDX-License-Identifier: Apache-2.0
import io
import os
import sys
import tempfile
import time
import unittest
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import run_tests
import runner
from results import Result


class RunTestsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patch = mock.patch.object(run_tests, "LOGS", self.folder.name)
        patch.start()
        self.addCleanup(patch.stop)

    def run_with(self, *argv, **stages):
        table = {name: (name, work, 5) for name, work in stages.items()}
        out = io.StringIO()
        with mock.patch.object(run_tests, "STAGES", table), redirect_stdout(out):
            status = run_tests.main(list(argv))
        return status, out.getvalue().splitlines()

    def test_sums_stages_and_ends_with_the_closing_line(self):
        status, lines = self.run_with(
            a=lambda s: s.add([Result("x", "passed"), Result("y", "skipped", "skipped, because z")]),
            b=lambda s: s.add([Result("w", "passed")]))
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], "2 passed, 0 failed, 1 skipped")
        self.assertIn("  [a] y: skipped, because z", lines)

    def test_a_failure_stops_nothing_but_is_the_status(self):
        def broken(_):
            raise FileNotFoundError("no such tool")
        status, lines = self.run_with(a=broken, b=lambda s: s.add([Result("w", "passed")]))
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")

    def test_nothing_passed_is_no_success(self):
        self.assertEqual(self.run_with(a=lambda s: None)[0], 1)

    def test_unknown_stages_are_named(self):
        err = io.StringIO()
        with redirect_stderr(err), self.assertRaises(SystemExit):
            run_tests.main(["nonsense"])
        self.assertIn("no stage nonsense; there are: lint, unit", err.getvalue())

    def test_scripts_are_counted_and_cut_short(self):
        def work(stage):
            stage.script(["sh", "-c", "echo PASS one; echo FAIL two: why; exit 1"], "s")
            stage.deadline = time.monotonic() + 0.2
            stage.script(["sh", "-c", "echo PASS three; sleep 60"], "t")
        started = time.monotonic()
        status, lines = self.run_with(a=work)
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual((status, lines[-1]), (1, "2 passed, 2 failed, 0 skipped"))


class RunnerTest(unittest.TestCase):
    def test_sign_of_life_is_the_last_line(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"first\n\x1b[32mlast\x1b[0m\n\n")
            f.flush()
            self.assertEqual(runner.last_line(f.name), "last")

    def test_children_of_a_stopped_command_end_too(self):
        with tempfile.TemporaryDirectory() as folder:
            log, mark = os.path.join(folder, "log"), os.path.join(folder, "mark")
            progress = runner.Progress("x", io.StringIO())
            status = runner.run(["sh", "-c", f"(sleep 2; touch {mark}) & wait"], log, progress,
                                time.monotonic() + 0.2, folder)
            self.assertIsNone(status)
            time.sleep(2.2)
            self.assertFalse(os.path.exists(mark))

    def test_clock(self):
        self.assertEqual(runner.clock(61.9), "1:01")


if __name__ == "__main__":
    sys.exit(unittest.main())
