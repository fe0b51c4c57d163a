# SPDX-License-Identifier: Apache-2.0
import json
import unittest

import results


def counts(found):
    return [sum(r.status == s for r in found) for s in ("passed", "failed", "skipped")]


class LinesTest(unittest.TestCase):
    def test_counts_and_reasons(self):
        found = results.from_lines("hello\nPASS a\nFAIL b: got 1, wanted 2\nSKIP c: skipped, because no KVM\n", "x", 1)
        self.assertEqual(counts(found), [1, 1, 1])
        self.assertEqual(found[1], results.Result("x:b", "failed", "got 1, wanted 2"))
        self.assertEqual(found[2].why, "skipped, because no KVM")

    def test_a_silent_script_is_a_failure(self):
        self.assertEqual(counts(results.from_lines("", "x", 0)), [0, 1, 0])

    def test_a_script_that_dies_is_a_failure_after_its_passes(self):
        self.assertEqual(counts(results.from_lines("PASS a\n", "x", 137)), [1, 1, 0])

    def test_failing_lines_are_not_counted_twice(self):
        self.assertEqual(counts(results.from_lines("FAIL a\n", "x", 1)), [0, 1, 0])

    def test_prose_is_not_a_result(self):
        self.assertEqual(counts(results.from_lines("PASS a\nPASSED in 3 s\nFAIL to see: no\n", "x", 0)), [1, 0, 0])


XML = """<testsuites><testsuite name="S">
<testcase name="Good" classname="S" status="run" result="completed"/>
<testcase name="Bad" classname="S" status="run" result="completed"><failure message="f.cc:3&#x0A;no"/></testcase>
<testcase name="Skipped" classname="S" status="run" result="skipped"><skipped message="f.cc:9&#x0A;skipped, because x"/></testcase>
<testcase name="DISABLED_Off" classname="S" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""


class XmlTest(unittest.TestCase):
    def test_each_case_counts(self):
        found = results.from_test_xml(XML, "//a:t", False)
        self.assertEqual(counts(found), [1, 1, 2])
        self.assertEqual(found[2].why, "skipped, because x")
        self.assertEqual(found[1].name, "//a:t:S.Bad")

    def test_a_target_without_cases_counts_once(self):
        self.assertEqual(counts(results.from_test_xml("", "//a:t", True)), [1, 0, 0])
        self.assertEqual(counts(results.from_test_xml("<broken", "//a:t", False)), [0, 1, 0])

    def test_a_crash_after_good_cases_is_a_failure(self):
        good = '<testsuites><testcase name="Good" classname="S"/></testsuites>'
        self.assertEqual(counts(results.from_test_xml(good, "//a:t", False)), [1, 1, 0])


def event(kind, label, **rest):
    return json.dumps({"id": {kind: {"label": label}}, **rest})


class EventsTest(unittest.TestCase):
    def test_ran_failed_and_unbuildable_targets(self):
        lines = [
            event("targetConfigured", "//a:good", configured={"targetKind": "cc_test rule"}),
            event("targetConfigured", "//a:bad", configured={"targetKind": "cc_test rule"}),
            event("targetConfigured", "//a:broken", configured={"targetKind": "cc_test rule"}),
            event("targetConfigured", "//a:lib", configured={"targetKind": "cc_library rule"}),
            event("testResult", "//a:good", testResult={"status": "PASSED"}),
            event("testResult", "//a:bad", testResult={"status": "FAILED", "testActionOutput": [
                {"name": "test.log", "uri": "log"}, {"name": "test.xml", "uri": "xml"}]}),
            event("targetCompleted", "//a:good", completed={"success": True}),
            event("targetCompleted", "//a:broken", completed={"failureDetail": {"message": "x.cc failed"}}),
            event("targetCompleted", "//a:lib", completed={}),
        ]
        found, logs = results.from_bazel_events(lines, {"xml": XML, "log": "the log", "": ""}.__getitem__)
        self.assertEqual(counts(found), [2, 2, 2])
        self.assertEqual(logs, {"//a:bad": "the log"})
        self.assertIn(results.Result("//a:broken", "failed", "x.cc failed"), found)

    def test_a_timeout_says_so(self):
        lines = [event("testResult", "//a:slow", testResult={"status": "TIMEOUT"})]
        found, _ = results.from_bazel_events(lines, lambda uri: "")
        self.assertEqual(found, [results.Result("//a:slow", "failed", "it ran out of time")])


if __name__ == "__main__":
    unittest.main()
