#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lengths of source files: over 400 lines wants a reason in REASONS, over 800 fails whatever the reason."""

import os
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

WANTS_A_REASON, TOO_LONG = 400, 800
SOURCES = tree.CPP + tree.C + (".py", ".sh", ".bzl", ".proto")

# File -> why it is one file.
REASONS = {
    "integration-tests/lab/lab": "one command: the two emulators, the report protocol and its clean-up",
}


def is_source(path, text):
    return path.endswith(SOURCES) or text.startswith("#!")


def check(lengths):
    """`lengths`: path -> lines."""
    problems = []
    for path, lines in sorted(lengths.items(), key=lambda item: -item[1]):
        if lines > TOO_LONG:
            problems.append(f"{path}: {lines} lines, over {TOO_LONG}: split it by concept")
        elif lines > WANTS_A_REASON and path not in REASONS:
            problems.append(f"{path}: {lines} lines, over {WANTS_A_REASON}: split it, or say why in REASONS of "
                            "tools/checks/lengths.py")
    for path in sorted(REASONS):
        if path in lengths and lengths[path] <= WANTS_A_REASON:
            problems.append(f"{path}: {lengths[path]} lines needs no reason any more; remove it from REASONS of "
                            "tools/checks/lengths.py")
    return problems


def main():
    lengths = {}
    for path in tree.files():
        text = tree.read(path)
        if is_source(path, text):
            lengths[path] = text.count("\n")
    problems = check(lengths)
    for path, lines in sorted(lengths.items(), key=lambda item: -item[1])[:5]:
        print(f"  {lines:5} {path}")
    print(f"  {statistics.median(lengths.values()):5.0f} median")
    return tree.report("lengths", problems, len(lengths))


if __name__ == "__main__":
    sys.exit(main())
