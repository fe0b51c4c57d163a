#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Documents against the tree: relative links lead somewhere, commands named exist, and the API page matches the protos."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
COMMAND = re.compile(r"(?<![\w/.-])((?:tools|\.ci|bench|guest-kernel-configs|integration-tests)/[\w./-]*\w)")


def check(path, text, exists):
    """`exists` tells of a path relative to the top."""
    problems = []
    folder = os.path.dirname(path)
    for number, line in enumerate(text.split("\n"), 1):
        for target in LINK.findall(line):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not exists(os.path.normpath(os.path.join(folder, target))):
                problems.append(f"{path}:{number}: the link {target} leads nowhere")
        for command in COMMAND.findall(LINK.sub("", line)):
            if not exists(command) and not exists(os.path.join(folder, command)):
                problems.append(f"{path}:{number}: there is no {command}")
    return problems


def main():
    pages = [p for p in tree.files() if p.endswith(".md")]
    problems = []
    for path in pages:
        problems += check(path, tree.read(path), lambda p: os.path.exists(os.path.join(tree.TOP, p)))
    status = tree.report("docs", problems, len(pages))
    api = os.path.join(tree.TOP, "tools", "check-api-docs")
    if os.access(api, os.X_OK):
        status |= subprocess.run([api], cwd=tree.TOP, check=False).returncode != 0
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
