#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy with the flags that Bazel compiles with, on the files that changed since they were last clean.

usage: tools/dev tidy [--all] [FILE...]
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

# gcc's flags that clang refuses, and what only the build needs.
DROPPED = ("-fno-canonical-system-headers", "-Wunused-but-set-parameter", "-Wno-free-nonheap-object", "-MD")
DROPPED_PREFIXES = ("-frandom-seed", "-D__DATE__", "-D__TIME")
DROPPED_WITH_VALUE = ("-MF", "-o")


def clang_arguments(arguments):
    """A command line of Bazel's for gcc as one that clang-tidy's clang takes."""
    kept, skip = [], False
    for word in arguments[1:]:
        if skip:
            skip = False
        elif word in DROPPED_WITH_VALUE:
            skip = True
        elif word not in DROPPED and not word.startswith(DROPPED_PREFIXES):
            kept.append(word)
    return ["clang++", *kept]


def compile_commands(actions, root):
    """compile_commands.json from `bazel aquery --output=jsonproto`; each source once."""
    commands = {}
    for action in actions.get("actions", []):
        arguments = action.get("arguments", [])
        if "-c" not in arguments:
            continue
        source = arguments[arguments.index("-c") + 1]
        if source.endswith(".cc") and not source.startswith(("external/", "bazel-out/")):
            commands.setdefault(source, {"directory": root, "file": source, "arguments": clang_arguments(arguments)})
    return [commands[source] for source in sorted(commands)]


def bazel(*arguments):
    done = subprocess.run(["bazel", *arguments], cwd=tree.TOP, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"tidy: 'bazel {' '.join(arguments)}' failed:\n{done.stderr}")
    return done.stdout


def digests(sources):
    """What a verdict depends on: the file, every header of the tree, the list of checks."""
    common = hashlib.sha256(tree.read(".clang-tidy").encode())
    for path in tree.files():
        if path.endswith((".h", ".proto")):
            common.update(tree.read(path).encode())
    made = {}
    for source in sources:
        own = common.copy()
        own.update(tree.read(source).encode())
        made[source] = own.hexdigest()
    return made


def main(argv):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--all", action="store_true", help="also the files known to be clean")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args(argv)
    # The generated headers have to be there.
    if subprocess.run(["bazel", "build", "--keep_going", "--", *tree.targets()], cwd=tree.TOP, check=False).returncode:
        print("tidy: some targets do not build, see above; clang-tidy will say so of their files again")
    folder = os.path.join(tree.CACHE, "tidy")
    os.makedirs(os.path.join(folder, "clean"), exist_ok=True)
    actions = json.loads(bazel("aquery", "--output=jsonproto", f"mnemonic('CppCompile', {' + '.join(tree.targets())})"))
    commands = compile_commands(actions, bazel("info", "execution_root").strip())
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as f:
        json.dump(commands, f, indent=1)
    tracked = set(tree.files())
    sources = [c["file"] for c in commands if c["file"] in tracked and (not args.files or c["file"] in args.files)]
    marks = {s: os.path.join(folder, "clean", d) for s, d in digests(sources).items()}
    todo = [s for s in sources if args.all or args.files or not os.path.exists(marks[s])]
    print(f"tidy: {len(todo)} of {len(sources)} files; the others are unchanged since they were clean", flush=True)

    def tidy(source):
        return source, subprocess.run(["clang-tidy", "--quiet", "-p", folder, source], cwd=commands[0]["directory"],
                                      check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (source, done) in enumerate(pool.map(tidy, todo), 1):
            if done.returncode == 0:
                open(marks[source], "w", encoding="utf-8").close()
            else:
                bad += 1
            print(f"[{number}/{len(todo)}] {source}\n{done.stdout}".rstrip(), flush=True)
    print(f"tidy: {bad} files with findings" if bad else "tidy: no findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
