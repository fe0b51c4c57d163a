# SPDX-License-Identifier: Apache-2.0
"""Drives a real hearth process with the tiny guests; what the functional tests share.

The programs come from $HEARTH_BIN_DIR (a bazel-bin folder), or are built first with --config=release. The tests need a
/dev/kvm that this user may open ($HEARTH_KVM_NODE names another node); without it they skip, and say so.
"""

import ctypes
import errno
import functools
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KVM_NODE = os.environ.get("HEARTH_KVM_NODE", "/dev/kvm")
# Generous: what is waited for takes milliseconds on an idle machine, and test machines are not idle.
LIMIT_S = 60


@functools.cache
def bin_dir():
    if "HEARTH_BIN_DIR" in os.environ:
        return os.environ["HEARTH_BIN_DIR"]
    subprocess.run(["bazel", "build", "--config=release", "--noshow_progress", "--ui_event_filters=-info",
                    "//runtime/vmm:hearth", "//integration-tests/guests"], cwd=TOP, check=True)
    return subprocess.run(["bazel", "info", "--config=release", "bazel-bin"], cwd=TOP, check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()


def guest(name):
    return os.path.join(bin_dir(), "integration-tests", "guests", name + ".elf")


def kvm_missing():
    """Why there is no KVM to use, or None."""
    try:
        os.close(os.open(KVM_NODE, os.O_RDWR))
    except OSError as error:
        return f"{KVM_NODE} cannot be opened: {error.strerror}"
    return None


def refuse_io_uring():
    """For this process and its children: io_uring_setup(2) gives EPERM, as on hosts that do not allow it."""
    def instruction(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)

    load_word, jump_if_equal, give = 0x20, 0x15, 0x06
    program = b"".join([
        instruction(load_word, 0, 0, 0),  # the number of the system call
        instruction(jump_if_equal, 0, 1, 425),
        instruction(give, 0, 0, 0x00050000 | errno.EPERM),
        instruction(give, 0, 0, 0x7FFF0000)])
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_of = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    if libc.prctl(set_no_new_privileges, 1, 0, 0, 0) != 0 or libc.prctl(set_seccomp, mode_filter, filter_of, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, status, body):
        self.status = status
        self.body = body

    def __repr__(self):
        return f"{self.status} {self.body}"


class Hearth:
    """A hearth process, its API socket (unless api=False) and what it prints."""

    def __init__(self, folder, *args, api=True, socket_path=None, config=None, stdin=subprocess.DEVNULL, kvm_node=KVM_NODE,
                 io_uring=True):
        self.socket = socket_path or os.path.join(folder, "api.sock")
        self.console_path = os.path.join(folder, "console")
        self.log_path = os.path.join(folder, "log")
        command = [os.path.join(bin_dir(), "runtime", "vmm", "hearth"), *args]
        command += ["--api-sock", self.socket] if api else ["--no-api"]
        if kvm_node != "/dev/kvm":
            command += ["--kvm-node", kvm_node]
        if config is not None:
            path = os.path.join(folder, "config.json")
            with open(path, "w", encoding="utf-8") as f:
                f.write(config if isinstance(config, str) else json.dumps(config))
            command += ["--config-file", path]
        with open(self.console_path, "ab") as out, open(self.log_path, "ab") as err:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=err, cwd=folder,
                                            preexec_fn=None if io_uring else refuse_io_uring)

    def until(self, condition, what):
        """Waits until `condition` is true; fails if it does not become so, or the process ends first."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            ended = self.process.poll() is not None
            if condition():
                return
            if ended or time.monotonic() > deadline:
                state = f"status {self.process.returncode}" if ended else "alive"
                raise AssertionError(f"no {what}; hearth: {state}, console: {self.console()!r}, log: {self.log()!r}")
            time.sleep(0.002)

    def call(self, method, path, body=None, raw=None):
        self.until(lambda: os.path.exists(self.socket), "API socket")
        connection = UnixConnection(self.socket)
        # The path is there a moment before anybody listens.
        self.until(lambda: self._connects(connection), "listener on the API socket")
        try:
            data = raw if raw is not None else None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return Reply(response.status, json.loads(text) if text else None)

    @staticmethod
    def _connects(connection):
        try:
            connection.connect()
            return True
        except ConnectionRefusedError:
            return False

    def get(self, path):
        return self.call("GET", path)

    def put(self, path, body):
        return self.call("PUT", path, body)

    def patch(self, path, body=None):
        return self.call("PATCH", path, body)

    def must(self, reply):
        if reply.status not in (200, 204):
            raise AssertionError(f"{reply}; log: {self.log()!r}")
        return reply.body

    def configure(self, name, boot_args="", protocol=None, vcpus=1, mem_mib=128, initrd=None):
        for path, body in config_of(name, boot_args, protocol, vcpus, mem_mib, initrd).items():
            self.must(self.put("/" + path, body))

    def start(self):
        self.must(self.put("/actions", {"action_type": "InstanceStart"}))

    def state(self):
        return self.must(self.get("/"))["state"]

    def _read(self, path):
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")

    def console(self):
        return self._read(self.console_path)

    def log(self):
        return self._read(self.log_path)

    def until_console(self, text):
        self.until(lambda: text in self.console(), f"{text!r} on the console")

    def wait(self):
        """The exit status, once the process ends by itself."""
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hearth does not end; console: {self.console()!r}, log: {self.log()!r}") from None

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


def config_of(name, boot_args="", protocol=None, vcpus=1, mem_mib=128, initrd=None):
    """A configuration file's content, whose members are the API's paths as well."""
    boot_source = {"kernel_image_path": guest(name), "boot_args": boot_args}
    if protocol is not None:
        boot_source["boot_protocol"] = protocol
    if initrd is not None:
        boot_source["initrd_path"] = initrd
    return {"boot-source": boot_source, "machine-config": {"vcpu_count": vcpus, "mem_size_mib": mem_mib}}


class MachineTest(unittest.TestCase):
    """A test with a folder of its own and processes that do not outlive it."""

    needs_kvm = True

    def setUp(self):
        missing = kvm_missing() if self.needs_kvm else None
        if missing:
            self.skipTest(missing)
        self.folder = tempfile.mkdtemp(prefix="hearth-")
        self.addCleanup(shutil.rmtree, self.folder)

    def hearth(self, *args, folder=None, **kwargs):
        process = Hearth(folder or self.folder, *args, **kwargs)
        self.addCleanup(process.end)
        return process

    def boot(self, name, boot_args="", *args, stdin=subprocess.DEVNULL, **kwargs):
        """Through the API."""
        process = self.hearth(*args, stdin=stdin)
        process.configure(name, boot_args, **kwargs)
        process.start()
        return process

    def assertFault(self, reply, *parts):
        self.assertEqual(reply.status, 400, reply)
        for part in parts:
            self.assertIn(part, reply.body["fault_message"])


class LineResult(unittest.TestResult):
    """PASS, FAIL and SKIP lines, as tools/test wants them."""

    def _line(self, word, test, why=""):
        name = test.id().split(".", 1)[1] if test.id().startswith("__main__.") else test.id()
        print(f"{word} {name.replace(' ', '_')}{why}", flush=True)

    def addSuccess(self, test):
        self._line("PASS", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print(self._exc_info_to_string(err, test), end="")
        self._line("FAIL", test, f": {(str(err[1]) or err[0].__name__).splitlines()[0]}")

    def addError(self, test, err):
        self.addFailure(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)  # a test with a bad one counts as no success
        if err is not None:
            print(self._exc_info_to_string(err, subtest), end="")
            self._line("FAIL", subtest, f": {(str(err[1]) or err[0].__name__).splitlines()[0]}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("SKIP", test, f": skipped, because {reason}")


def main():
    """Runs the tests of the script, or those whose names contain an argument."""
    sys.dont_write_bytecode = True
    suite = unittest.defaultTestLoader.loadTestsFromName("__main__")
    wanted = sys.argv[1:]
    result = LineResult()
    for case in suite:
        for test in case:
            if not wanted or any(word in test.id() for word in wanted):
                test.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
