# SPDX-License-Identifier: Apache-2.0
"""Machines with virtio devices, and what their guests say of them."""

import http.client
import os
import re
import subprocess

from machine import MachineTest

MIB = 1 << 20
ENGINES = ("Async", "Sync")
# Of the TSC: seconds on every machine that there is, more or less.
CYCLES_A_SECOND = 2_500_000_000


class VirtioTest(MachineTest):
    def disk_file(self, name="disk", size=4 * MIB, content=None):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content or b"")
            file.truncate(size)
        return path

    def launch(self, guest, boot_args, drives=(), nics=(), balloon=None, folder=None, io=None, **kwargs):
        """A running machine; `drives` and `nics` are bodies without their ids."""
        process = self.hearth(folder=folder, **(io or {}))
        process.configure(guest, boot_args, **kwargs)
        if balloon is not None:
            process.must(process.put("/balloon", {"deflate_on_oom": False, **balloon}))
        for i, drive in enumerate(drives):
            body = {"drive_id": f"d{i}", "is_root_device": False, "is_read_only": False, **drive}
            process.must(process.put(f"/drives/d{i}", body))
        for i, nic in enumerate(nics):
            process.must(process.put(f"/network-interfaces/n{i}", {"iface_id": f"n{i}", **nic}))
        process.start()
        return process

    def results(self, process, what=r"\w+_io"):
        """The numbers of the guest's last line, once it is there; there must be no failure before."""
        line = re.compile(rf"^{what}:( .*)\n", re.MULTILINE)
        process.until(lambda: line.search(process.console()) or "FAILED" in process.console(), "line of results")
        self.assertNotIn("FAILED", process.console())
        return {key: int(value) for key, value in re.findall(r" (\w+)=(\d+)", line.search(process.console())[1])}

    def while_it_runs(self, process, requests, least=3):
        """PATCHes (path, body) after (path, body), until a guest that runs for a time of its own has ended. On a busy machine
        that may be early, but `least` of them are to be made."""
        made = 0
        for path, body in requests:
            try:
                process.must(process.patch(path, body))
            except (OSError, http.client.HTTPException, AssertionError):
                try:
                    process.process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    pass
                if process.process.poll() != 0:
                    raise
                break
            made += 1
        self.assertGreaterEqual(made, least)

    def assertClean(self, results):
        self.assertEqual((results.get("errors", 0), results.get("mismatches", 0), results.get("damaged", 0)), (0, 0, 0), results)
