#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Licence headers, and no paths of somebody's machine in the tree."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

SOURCES = tree.CPP + tree.C + (".py", ".sh", ".proto", ".S")
LICENCES = {"kvmmod/": "GPL-2.0-only"}  # what links with the kernel
LICENCE = "Apache-2.0"
# A home, or a checkout by its place. What a guest or a jail has inside is not meant.
MACHINE_PATHS = re.compile(r"/home/[a-z]\w*/|/root/[.\w]|/work/\w|/Users/\w|_bazel_\w+/")


def expected_licence(path):
    return next((name for folder, name in LICENCES.items() if path.startswith(folder)), LICENCE)


def check(path, text):
    problems = []
    if path.endswith(SOURCES) or text.startswith("#!"):
        wanted = f"SPDX-License-Identifier: {expected_licence(path)}"
        if wanted not in "\n".join(text.split("\n")[:3]):
            problems.append(f"{path}:1: the first lines lack '{wanted}'")
    if path.split("/")[-1] not in ("headers.py", "headers_test.py"):
        for number, line in enumerate(text.split("\n"), 1):
            if MACHINE_PATHS.search(line):
                problems.append(f"{path}:{number}: a path of one machine: {line.strip()[:100]}")
    return problems


def main():
    paths = tree.files()
    problems = []
    for path in paths:
        problems += check(path, tree.read(path))
    return tree.report("headers", problems, len(paths))


if __name__ == "__main__":
    sys.exit(main())
