# SPDX-License-Identifier: Apache-2.0
"""What the lab's scripts share: the cache, small builds, errors."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

LAB = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(LAB))
CACHE = os.environ.get("HEARTH_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hearth")
BUSYBOX = "/bin/busybox"

# Static, without start-up files: size and start-up cost are what the guest's boot is measured with.
FREESTANDING = ["-std=c11", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding",
                "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-pie", "-no-pie",
                "-fcf-protection=none", "-Wl,--build-id=none", "-Wl,-z,noseparate-code",
                "-Wl,-z,noexecstack", "-s"]
HOSTED = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-Wl,--build-id=none"]


class LabError(Exception):
    """A failure of the lab itself, not of the command that runs in it. The text says what to do."""


def install_deps(*groups):
    if subprocess.run([os.path.join(TOP, "tools", "install-deps"), *groups], stdout=sys.stderr).returncode:
        raise LabError(f"tools/install-deps {' '.join(groups)} failed, see above")


def digest(*parts):
    """A short name for contents: strings and bytes as they are, a file by ("file", path)."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, tuple):
            with open(part[1], "rb") as f:
                part = f.read()
        elif isinstance(part, str):
            part = part.encode()
        h.update(b"%d:" % len(part))
        h.update(part)
    return h.hexdigest()[:16]


def cached(kind, name, key, make):
    """The path CACHE/kind/name-key, made by make(temporary path) if it is not there. One maker at a time."""
    folder = os.path.join(CACHE, kind)
    os.makedirs(folder, exist_ok=True)
    base, extension = os.path.splitext(name)
    entry = os.path.join(folder, f"{base}-{key}{extension}")
    if os.path.exists(entry):
        os.utime(entry)  # recently used: see trim()
        return entry
    with open(os.path.join(folder, f".{base}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(entry):
            return entry
        work = tempfile.mkdtemp(prefix=f".{base}.", dir=folder)
        try:
            made = os.path.join(work, name)
            make(made)
            os.rename(made, entry)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return entry


def trim(kind, base, keep):
    """Removes the least recently used entries of a kind that grows with every change of the sources."""
    folder = os.path.join(CACHE, kind)
    if not os.path.isdir(folder):
        return
    entries = [os.path.join(folder, e) for e in os.listdir(folder) if e.startswith(base + "-")]
    entries.sort(key=os.path.getmtime, reverse=True)
    for entry in entries[keep:]:
        try:
            os.unlink(entry)
        except OSError:
            pass


def compile_c(source, flags, name):
    """A small C program of ours, compiled once."""
    version = subprocess.run(["gcc", "-dumpfullversion"], check=True, stdout=subprocess.PIPE).stdout

    def make(path):
        done = subprocess.run(["gcc", *flags, "-o", path, source], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise LabError(f"gcc cannot compile {source}:\n{done.stderr}")
    return cached("programs", name, digest(("file", source), " ".join(flags), version), make)


def busybox_applets():
    listed = subprocess.run([BUSYBOX, "--list-full"], stdout=subprocess.PIPE, text=True)
    if listed.returncode:
        raise LabError(f"{BUSYBOX} --list-full failed; is the package busybox-static installed?")
    return listed.stdout.split()
