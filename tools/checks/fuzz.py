#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzzers (cc_test targets tagged "fuzz") under ASan and UBSan.

usage: tools/dev fuzz [--seconds N] [--smoke] [--jobs N] [TARGET...]

  --seconds N   how long each target runs (default 60)
  --smoke       2000 runs each by `bazel test`: what CI does
  TARGET        a label, or a part of one: "elf" is every fuzzer with elf in its name

Corpora grow in the cache folder, outside the checkout. A crash leaves its input beside the corpus and its report on
the screen; put the input into the target's `corpus` in its BUILD.bazel, so that every later test run replays it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import runner  # noqa: E402
import tree  # noqa: E402

STATS = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


def query(expression):
    done = subprocess.run(["bazel", "query", "--noshow_progress", expression], cwd=tree.TOP, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"fuzz: bazel query '{expression}' failed:\n{done.stderr}")
    return sorted(done.stdout.split())


def choose(labels, wanted):
    """The labels that contain one of the words; a word that fits none is an error."""
    for word in wanted:
        if not any(word in label for label in labels):
            raise ValueError(f"no fuzzer fits '{word}'; there are: {', '.join(labels) or 'none'}")
    return [label for label in labels if not wanted or any(word in label for word in wanted)]


def summary(log):
    """libFuzzer's -print_final_stats=1 as a dictionary."""
    return {name: int(value) for name, value in STATS.findall(log)}


def seeds(label):
    """The files that the target's BUILD rule replays."""
    files = query(f"labels(data, {label})")
    return [os.path.join(tree.TOP, f[2:].replace(":", "/").lstrip("/")) for f in files]


def run(label, binary, seconds):
    """Runs one fuzzer; true if nothing crashed."""
    name = label[2:].replace("/", "_").replace(":", ".")
    folder = os.path.join(tree.CACHE, "fuzz", name)
    corpus = os.path.join(folder, "corpus")
    os.makedirs(corpus, exist_ok=True)
    for seed in seeds(label):
        if os.path.isfile(seed):
            shutil.copy(seed, os.path.join(corpus, "seed-" + os.path.basename(seed)))
    log = os.path.join(folder, "log")
    open(log, "w", encoding="utf-8").close()
    progress = runner.Progress(label)
    started = time.monotonic()
    # The limit on memory is ASan's too: what a guest file makes us allocate shows here.
    status = runner.run([binary, f"-max_total_time={seconds}", "-max_len=65536", "-timeout=10", "-rss_limit_mb=2048",
                         "-print_final_stats=1", f"-artifact_prefix={folder}/", corpus], log, progress,
                        started + seconds * 2 + 120, folder,
                        {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1", "UBSAN_OPTIONS": "print_stacktrace=1"})
    took = progress.done()
    with open(log, encoding="utf-8", errors="replace") as f:
        text = f.read()
    stats = summary(text)
    runs = stats.get("number_of_executed_units", 0)
    print(f"{label}: {runs} runs in {took:.0f} s ({runs / max(took, 0.001):.0f} a second), corpus of "
          f"{len(os.listdir(corpus))} inputs, {'no crash' if status == 0 else 'CRASHED'}", flush=True)
    if status != 0:
        interesting = re.search(r"^(==\d+==ERROR|.*runtime error|SUMMARY|ALARM)", text, re.MULTILINE)
        print(text[interesting.start() if interesting else -4000:][:4000])
        print(f"{label}: the whole log is {log}; the input lies beside it")
    return status == 0


def main(argv):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args(argv)
    if args.smoke:
        os.chdir(tree.TOP)
        os.execvp("bazel", ["bazel", "test", "--config=fuzz", "--keep_going", "--", *(args.targets or tree.targets())])
    try:
        all_targets = " + ".join(tree.targets())
        labels = choose(query(f"attr('tags', '[\\[ ]fuzz[,\\]]', kind('cc_test', {all_targets}))"), args.targets)
    except ValueError as error:
        sys.exit(f"fuzz: {error}")
    if subprocess.run(["bazel", "build", "--config=fuzz", "--", *labels], cwd=tree.TOP, check=False).returncode:
        sys.exit("fuzz: the fuzzers do not build, see above")
    bindir = subprocess.run(["bazel", "info", "--config=fuzz", "bazel-bin"], cwd=tree.TOP, check=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    good = [run(label, os.path.join(bindir, label[2:].replace(":", "/")), args.seconds) for label in labels]
    print(f"fuzz: {len(good)} targets, {good.count(False)} crashed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
