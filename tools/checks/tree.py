# SPDX-License-Identifier: Apache-2.0
"""The checkout as the checks see it: tracked files, and new ones that git does not ignore."""

import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What is built and kept outside the checkout.
CACHE = os.environ.get("HEARTH_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hearth")
CPP = (".cc", ".h")
C = (".c", ".S")


def files(top=TOP):
    """Paths relative to `top`, sorted; the index's and the new ones."""
    listed = subprocess.run(["git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted(p for p in set(listed.split("\0")) if p and os.path.isfile(os.path.join(top, p)))


def read(path, top=TOP):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def targets(top=TOP):
    """//... as a list, without what links of another output base would drag in (bazel-<folder> is followed then)."""
    return sorted({f"//{p.split('/')[0]}/..." for p in files(top) if p.endswith("/BUILD.bazel")})


def report(name, problems, checked):
    """Prints the problems, one a line; the exit status."""
    for problem in problems:
        print(problem)
    print(f"{name}: {checked} files, " + (f"{len(problems)} problems" if problems else "no problems"))
    return 1 if problems else 0
