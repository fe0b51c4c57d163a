# SPDX-License-Identifier: Apache-2.0
"""Runs one long command with its output in a log, a sign of life on the terminal, and a time limit."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
HEARTBEAT_S = 30


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def last_line(path):
    """The last line of the log that says something, without escapes."""
    with open(path, "rb") as f:
        f.seek(max(0, os.path.getsize(path) - 4096))
        lines = ESCAPES.sub("", f.read().decode(errors="replace")).split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Progress:
    """On a terminal one line that changes; elsewhere a line now and then."""

    def __init__(self, name, out=sys.stderr):
        self.name, self.out = name, out
        self.start = self.said = time.monotonic()

    def tick(self, text):
        now = time.monotonic()
        line = f"  {self.name} {clock(now - self.start)}  {text}"
        if self.out.isatty():
            width = shutil.get_terminal_size().columns - 1
            self.out.write("\r\x1b[K" + line[:width])
            self.out.flush()
        elif now - self.said >= HEARTBEAT_S:
            self.said = now
            print(line[:150], file=self.out, flush=True)

    def done(self):
        if self.out.isatty():
            self.out.write("\r\x1b[K")
            self.out.flush()
        return time.monotonic() - self.start


def stop(process):
    """Ends what we started: an interrupt first (Bazel's client passes it on to its server), then by force."""
    for number, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
            if number != signal.SIGINT:
                return
        except subprocess.TimeoutExpired:
            pass


def run(command, log, progress, deadline, cwd, env=None):
    """Appends the output to `log`. The exit status, or None if the time (monotonic `deadline`) ran out."""
    with open(log, "ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                                   env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        while True:
            try:
                return process.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
            progress.tick(last_line(log))
            if time.monotonic() > deadline:
                return None
    finally:
        if process.poll() is None:
            stop(process)
