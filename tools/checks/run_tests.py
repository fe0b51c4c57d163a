#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs all tests, stage by stage; the last line is "N passed, N failed, N skipped".

usage: tools/test [--quick] [--list] [STAGE...]

  --quick   only the stages unit and functional
  --list    says what the stages do, and runs nothing

A stage that fails does not stop the others. Exit status: 0 if tests passed and none failed, else 1.
"""

import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # noqa: E402
import runner  # noqa: E402
import tree  # noqa: E402
from results import Result  # noqa: E402

LOGS = os.path.join(tree.CACHE, "test-logs")
# What a script of the lab stage covers beyond its default, when all tests run.
MORE = {"integration-tests/lab/lab_test.sh": ["--intel", "--guests"]}
# Tests that want this machine's KVM and no lab.
ON_THIS_MACHINE = ("integration-tests/functional", "integration-tests/guests")


class Stage:
    """One stage's work: runs commands, collects results."""

    def __init__(self, name, limit_s):
        self.name = name
        self.log = os.path.join(LOGS, f"{name}.log")
        with open(self.log, "w", encoding="utf-8"):
            pass
        self.deadline = time.monotonic() + limit_s
        self.limit_s = limit_s
        self.progress = runner.Progress(name)
        self.results = []

    def say(self, text):
        self.progress.done()
        print(f"  {text}", flush=True)

    def run(self, command, env=None):
        """The exit status (None: out of time) and what the command wrote."""
        before = os.path.getsize(self.log)
        status = runner.run(command, self.log, self.progress, self.deadline, tree.TOP, env)
        with open(self.log, "rb") as f:
            f.seek(before)
            return status, f.read().decode(errors="replace")

    def add(self, found):
        for result in found:
            self.results.append(result)
            if result.status != "passed":
                self.say(f"{result.status.upper()} {result.name}" + (f": {result.why[:160]}" if result.why else ""))

    def tail(self, text, lines=30):
        for line in [x for x in runner.ESCAPES.sub("", text).split("\n") if x.strip()][-lines:]:
            self.say(f"  | {line[:200]}")

    def out_of_time(self, what):
        return Result(what, "failed", f"out of time: the stage may take {self.limit_s} s; see {self.log}")

    def check(self, name, command):
        """A command that is one test by its exit status."""
        status, output = self.run(command)
        if status == 0:
            self.add([Result(name, "passed")])
        else:
            self.add([self.out_of_time(name) if status is None else
                      Result(name, "failed", f"'{' '.join(command)}' ended with {status}")])
            self.tail(output)
        return status == 0

    def script(self, command, name):
        """A script that prints PASS, FAIL and SKIP lines."""
        status, output = self.run(command)
        found = results.from_lines(output, name, 0 if status is None else status)
        if status is None:
            found = [r for r in found if r.name != name] + [self.out_of_time(name)]
        self.add(found)
        if any(r.status == "failed" for r in found):
            self.tail(output)

    def bazel_test(self, *flags):
        events = os.path.join(LOGS, f"{self.name}.events")
        if os.path.exists(events):
            os.unlink(events)
        status, output = self.run(["bazel", "test", "--keep_going", "--test_output=errors", "--curses=no", "--color=no",
                                   "--show_progress_rate_limit=5", f"--build_event_json_file={events}", *flags,
                                   "--", *tree.targets()])
        found, logs = [], {}
        if os.path.exists(events):
            with open(events, encoding="utf-8") as f:
                found, logs = results.from_bazel_events(f)
        self.add(found)
        for label, log in logs.items():
            self.say(f"the log of {label} ends so:")
            self.tail(log)
        failed = any(r.status == "failed" for r in found)
        if status is None:
            self.add([self.out_of_time(self.name)])
        elif status != 0 and (not failed or any("build" in r.why for r in found)):
            if not failed:
                self.add([Result(self.name, "failed", f"bazel test ended with {status}")])
            self.tail(output)


def lint(stage):
    stage.check("lint:format", ["tools/dev", "fmt", "--check"])
    for name in ("shell", "layers", "docs", "lengths", "headers"):
        stage.check(f"lint:{name}", ["tools/dev", name])


def unit(stage):
    folders = sorted({os.path.dirname(p) for p in tree.files()
                      if p.endswith("_test.py") and not p.startswith("integration-tests/")})
    stage.script([sys.executable, "tools/checks/unittest_lines.py", *folders], "python")
    stage.bazel_test()


def build_programs(stage, name):
    """Builds what ships, and the tiny guests; tells the scripts where, so that they need not build."""
    good = stage.check(f"{name}:build", ["tools/dev", "build", "--release", "--curses=no", "--color=no",
                                         "//runtime/vmm:hearth", "//integration-tests/guests"])
    if good:
        _, output = stage.run(["bazel", "info", "--config=release", "bazel-bin"])
        os.environ["HEARTH_BIN_DIR"] = output.strip().split("\n")[-1]
    return good


def scripts(stage, wanted):
    for path in tree.files():
        if not path.endswith(("_test.py", "_test.sh")) or not path.startswith("integration-tests/") or not wanted(path):
            continue
        interpreter = [sys.executable, "-B"] if path.endswith(".py") else ["bash"]
        name = path[len("integration-tests/"):].rsplit("_test.", 1)[0]
        stage.say(f"{path}")
        stage.script(interpreter + [path, *MORE.get(path, [])], name)


def functional(stage):
    if build_programs(stage, "functional"):
        scripts(stage, lambda path: path.startswith(ON_THIS_MACHINE))


def kernels(stage):
    for variant in ("acpi", "noacpi", "lab-host"):
        stage.check(f"kernels:{variant}", ["guest-kernel-configs/build", "--variant", variant])


def lab(stage):
    if build_programs(stage, "lab"):
        scripts(stage, lambda path: not path.startswith(ON_THIS_MACHINE))


def asan(stage):
    stage.bazel_test("--config=asan", "--config=ubsan")


def tsan(stage):
    stage.bazel_test("--config=tsan")


def tsa(stage):
    stage.check("tsa:clang -Wthread-safety", ["bazel", "build", "--keep_going", "--curses=no", "--color=no",
                                              "--config=tsa", "--", *tree.targets()])


def fuzz(stage):
    stage.bazel_test("--config=fuzz")


# Name -> (what it does, its work, its limit in seconds). The quick ones first: bad news early.
STAGES = {
    "lint": ("format, shellcheck, layers, docs, lengths, licences", lint, 300),
    "unit": ("every unit test: bazel test //..., and the tools' own", unit, 1500),
    "functional": ("the hearth binary with tiny guests, on this machine's /dev/kvm", functional, 1200),
    "kernels": ("builds the guest kernels and the lab's, or takes them from the cache", kernels, 2400),
    "lab": ("Linux guests in the emulated bare-metal host", lab, 1800),
    "asan": ("unit tests under AddressSanitizer and UndefinedBehaviorSanitizer together", asan, 1500),
    "tsan": ("unit tests under ThreadSanitizer", tsan, 1500),
    "tsa": ("clang's thread-safety analysis of everything", tsa, 900),
    "fuzz": ("2000 runs of every fuzzer, with ASan and UBSan", fuzz, 900),
}
QUICK = ("unit", "functional")


def count(found):
    return [sum(r.status == status for r in found) for status in ("passed", "failed", "skipped")]


def closing_line(found):
    return "{} passed, {} failed, {} skipped".format(*count(found))


def parse(argv):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("stages", nargs="*", metavar="STAGE")
    args = parser.parse_args(argv)
    unknown = [s for s in args.stages if s not in STAGES]
    if unknown:
        parser.error(f"no stage {unknown[0]}; there are: {', '.join(STAGES)}")
    return args


def run_stage(number, total, name, started):
    what, work, limit_s = STAGES[name]
    print(f"[{number}/{total} {runner.clock(time.monotonic() - started)}] {name}: {what}", flush=True)
    stage = Stage(name, limit_s)
    try:
        work(stage)
    except OSError as error:
        stage.add([Result(name, "failed", f"{error}")])
    took = stage.progress.done()
    passed, failed, skipped = count(stage.results)
    print(f"  {name}: {passed} passed, {failed} failed, {skipped} skipped in {runner.clock(took)}"
          + (f"; log: {stage.log}" if failed else ""), flush=True)
    return stage.results


def main(argv):
    args = parse(argv)
    wanted = args.stages or (QUICK if args.quick else list(STAGES))
    if args.list:
        for name, (what, _, limit_s) in STAGES.items():
            print(f"{name:11} {what} (at most {limit_s // 60} min)")
        return 0
    os.makedirs(LOGS, exist_ok=True)
    started = time.monotonic()
    found = {}
    for number, name in enumerate(wanted, 1):
        found[name] = run_stage(number, len(wanted), name, started)
    everything = [r for part in found.values() for r in part]
    for status in ("skipped", "failed"):
        listed = [(name, r) for name, part in found.items() for r in part if r.status == status]
        if listed:
            print(f"{status.capitalize()}:")
        for name, r in listed:
            print(f"  [{name}] {r.name}" + (f": {r.why[:160]}" if r.why else ""))
    print(f"Took {runner.clock(time.monotonic() - started)}.")
    print(closing_line(everything), flush=True)
    passed, failed, _ = count(everything)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
