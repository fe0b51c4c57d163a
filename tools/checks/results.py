# SPDX-License-Identifier: Apache-2.0
"""Test results, counted case by case, from Bazel's event file and from the PASS/FAIL/SKIP lines of scripts."""

import collections
import json
import os
import re
import urllib.parse
import xml.etree.ElementTree

# status is "passed", "failed" or "skipped"; `why` is the reason of a skip, or a failure in short.
Result = collections.namedtuple("Result", "name status why", defaults=("",))

LINE = re.compile(r"^(PASS|FAIL|SKIP) ([^\s:]+)(?:: ?(.*))?$")
WORDS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


def from_lines(output, name, exit_status):
    """The results in a script's output. A script that fails or says nothing is a failure too."""
    found = []
    for line in output.splitlines():
        match = LINE.match(line.strip())
        if match:
            found.append(Result(f"{name}:{match[2]}", WORDS[match[1]], match[3] or ""))
    if exit_status != 0 and not any(r.status == "failed" for r in found):
        found.append(Result(name, "failed", f"exit status {exit_status}"))
    elif not found:
        found.append(Result(name, "failed", "it ran no tests: not one PASS, FAIL or SKIP line"))
    return found


def from_test_xml(text, target, passed):
    """One result a test case of a JUnit file; one for the whole target where there are no cases."""
    found = []
    try:
        root = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError:
        root = None
    for case in root.iter("testcase") if root is not None else ():
        name = f"{target}:{case.get('classname') or ''}.{case.get('name') or ''}"
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        skip = case.find("skipped")
        if failure is not None:
            found.append(Result(name, "failed", (failure.get("message") or "").strip().split("\n")[0]))
        elif skip is not None or case.get("result") == "skipped":
            why = (skip.get("message") or "") if skip is not None else ""
            # GoogleTest puts "file:line\n" in front.
            found.append(Result(name, "skipped", why.strip().split("\n")[-1]))
        elif case.get("status") == "notrun" or case.get("result") == "suppressed":
            found.append(Result(name, "skipped", "skipped, because it is disabled in the source"))
        else:
            found.append(Result(name, "passed"))
    if passed and not found:
        found.append(Result(target, "passed"))
    elif not passed and not any(r.status == "failed" for r in found):
        found.append(Result(target, "failed", "it ended without a result: see its log"))
    return found


def _read_uri(uri):
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def from_bazel_events(lines, read=_read_uri):
    """(results, logs of failed targets) of a --build_event_json_file."""
    kinds, outputs, finished, broken = {}, {}, {}, {}
    for line in lines:
        if not line.strip():
            continue
        event = json.loads(line)
        ident = event.get("id", {})
        if "targetConfigured" in ident:
            kinds[ident["targetConfigured"]["label"]] = event.get("configured", {}).get("targetKind", "")
        elif "testResult" in ident:
            result = event.get("testResult", {})
            label = ident["testResult"]["label"]
            finished[label] = result.get("status", "")
            outputs[label] = {o["name"]: o.get("uri", "") for o in result.get("testActionOutput", [])}
        elif "targetCompleted" in ident and not event.get("completed", {}).get("success"):
            detail = event.get("completed", {}).get("failureDetail", {}).get("message", "")
            broken[ident["targetCompleted"]["label"]] = detail or "it does not build"
    results, logs = [], {}
    for label, status in sorted(finished.items()):
        xml_text = read(outputs[label].get("test.xml", ""))
        found = from_test_xml(xml_text, label, status in ("PASSED", "FLAKY"))
        if status == "TIMEOUT":
            found = [r for r in found if r.status != "failed"] + [Result(label, "failed", "it ran out of time")]
        if any(r.status == "failed" for r in found):
            logs[label] = read(outputs[label].get("test.log", ""))
        results += found
    for label, why in sorted(broken.items()):
        # Libraries that do not build break the tests that need them; those are counted.
        if label not in finished and kinds.get(label, "").endswith("_test rule"):
            results.append(Result(label, "failed", why))
    return results, logs
