#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Block devices under the polled driver of a tiny guest: data arrives, limits hold, changes are seen."""

import array
import os
import re
import tempfile
import time

import machine
from virtio_machine import CYCLES_A_SECOND, ENGINES, MIB, VirtioTest

MASK = (1 << 64) - 1


def pattern(offset, size, seed):
    """What block_io writes there."""
    mixed = seed * 0xD1342543DE82EF95
    return array.array("Q", (((at + 1) * 0x9E3779B97F4A7C15 ^ mixed) & MASK for at in range(offset, offset + size, 8))).tobytes()


class Block(VirtioTest):
    def test_what_is_written_is_read_and_is_in_the_file(self):
        for engine in ENGINES:
            for words in ("bs=4096 depth=32", "bs=512 depth=64 noindirect", "bs=65536 depth=4 noeventidx",
                          "bs=4096 depth=1 queue=8 noindirect noeventidx"):
                with self.subTest(engine=engine, words=words):
                    folder = os.path.join(self.folder, f"{engine} {words}")
                    os.mkdir(folder)
                    path = self.disk_file(os.path.join(folder, "disk"))
                    process = self.launch("block_io", "op=verify seed=3 " + words, folder=folder,
                                          drives=[{"path_on_host": path, "io_engine": engine}])
                    self.assertEqual(process.wait(), 0, process.log())
                    results = self.results(process)
                    self.assertClean(results)
                    self.assertEqual(results["bytes"], 8 * MIB)
                    with open(path, "rb") as file:
                        self.assertEqual(file.read(), pattern(0, 4 * MIB, 3))

    def test_direct(self):
        # Not the folder of temporary files, which may be in memory and refuse it.
        with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="hearth-", delete=False) as file:
            path = file.name
            file.truncate(4 * MIB)
        self.addCleanup(os.unlink, path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_DIRECT))
        except OSError as error:
            self.skipTest(f"O_DIRECT is not for /var/tmp: {error.strerror}")
        for engine in ENGINES:
            with self.subTest(engine=engine):
                folder = os.path.join(self.folder, engine)
                os.mkdir(folder)
                process = self.launch("block_io", "op=verify depth=16", folder=folder,
                                      drives=[{"path_on_host": path, "io_engine": engine, "direct": True}])
                self.assertClean(self.results(process))
                process.wait()

    def test_what_was_flushed_survives_a_kill(self):
        for engine in ENGINES:
            with self.subTest(engine=engine):
                folder = os.path.join(self.folder, engine)
                os.mkdir(folder)
                path = self.disk_file(os.path.join(folder, "disk"))
                process = self.launch("block_io", "op=fill depth=16 exit=loop", folder=folder,
                                      drives=[{"path_on_host": path, "io_engine": engine}])
                self.assertClean(self.results(process))
                process.end()
                with open(path, "rb") as file:
                    self.assertEqual(file.read(), pattern(0, 4 * MIB, 1))

    def test_acknowledged_writes_survive_a_kill_in_the_middle(self):
        path = self.disk_file(size=64 * MIB)
        process = self.launch("block_io", f"op=verify depth=32 cycles={60 * CYCLES_A_SECOND}", drives=[{"path_on_host": path}])
        process.until_console("go\n")
        time.sleep(0.3)  # somewhere in it
        process.end()
        again = os.path.join(self.folder, "again")
        os.mkdir(again)
        process = self.launch("block_io", "op=verify depth=32 span=4194304", folder=again, drives=[{"path_on_host": path}])
        self.assertClean(self.results(process))

    def test_what_must_be_refused(self):
        path = self.disk_file()
        for read_only in (False, True):
            for engine in ENGINES:
                with self.subTest(read_only=read_only, engine=engine):
                    folder = os.path.join(self.folder, f"{engine}{read_only}")
                    os.mkdir(folder)
                    process = self.launch("block_io", "op=limits bs=4096", folder=folder, drives=[
                        {"path_on_host": path, "io_engine": engine, "is_read_only": read_only, "serial": "the-serial"}])
                    self.assertClean(self.results(process))
                    self.assertIn("id=the-serial\n", process.console())
                    if read_only:
                        self.assertIn("write status=1", process.console())
                    process.wait()
        with open(path, "rb") as file:
            self.assertEqual(file.read(), bytes(4 * MIB))

    def test_a_size_that_is_no_multiple_of_a_sector(self):
        path = self.disk_file(content=pattern(0, 8192, 1)[:5000], size=5000)
        process = self.launch("block_io", "op=read count=100 bs=512", drives=[{"path_on_host": path}])
        self.assertClean(self.results(process))
        capacity = int(re.search(r"capacity=(\d+)", process.console())[1])
        self.assertEqual(capacity, 5120)

    def test_discard_and_write_zeroes_make_holes(self):
        for engine in ENGINES:
            for operation in ("discard", "zeroes"):
                with self.subTest(engine=engine, operation=operation):
                    folder = os.path.join(self.folder, engine + operation)
                    os.mkdir(folder)
                    path = self.disk_file(os.path.join(folder, "disk"))
                    process = self.launch("block_io", f"op={operation} bs=65536 depth=4", folder=folder,
                                          drives=[{"path_on_host": path, "io_engine": engine}])
                    results = self.results(process)
                    self.assertClean(results)
                    self.assertEqual(process.wait(), 0, process.log())
                    self.assertIn("zero blocks=32 of=32\n", process.console())
                    with open(path, "rb") as file:
                        self.assertEqual(file.read(), bytes(2 * MIB) + pattern(2 * MIB, 2 * MIB, 1))
                    if operation == "discard":
                        self.assertLess(os.stat(path).st_blocks * 512, 3 * MIB)

    def test_two_disks_in_the_order_of_their_put(self):
        first, second = self.disk_file("first", MIB), self.disk_file("second", 2 * MIB)
        process = self.launch("block_io", "op=fill disk=1 depth=8", drives=[{"path_on_host": first}, {"path_on_host": second}])
        self.assertClean(self.results(process))
        self.assertIn(f"capacity={2 * MIB} ", process.console())
        with open(first, "rb") as file:
            self.assertEqual(file.read(), bytes(MIB))

    def test_the_root_device_comes_first(self):
        other, root = self.disk_file("other", MIB), self.disk_file("root", 2 * MIB)
        process = self.launch("block_io", "op=read count=10", drives=[
            {"path_on_host": other}, {"path_on_host": root, "is_root_device": True}])
        self.assertClean(self.results(process))
        self.assertIn(f"capacity={2 * MIB} ", process.console())

    def test_32_disks(self):
        drives = [{"path_on_host": self.disk_file(f"disk{i}", MIB)} for i in range(32)]
        process = self.launch("block_io", "op=each disks=32", drives=drives)
        self.assertClean(self.results(process))
        self.assertEqual(process.wait(), 0, process.log())

    def test_the_guest_sees_a_new_size_and_another_file(self):
        path = self.disk_file(size=MIB)
        process = self.launch("block_io", f"op=watch cycles={120 * CYCLES_A_SECOND}", drives=[{"path_on_host": path}])
        process.until_console(f"capacity bytes={MIB} ")
        os.truncate(path, 3 * MIB)
        process.must(process.patch("/drives/d0", {"drive_id": "d0", "path_on_host": path}))
        process.until_console(f"capacity bytes={3 * MIB} ")
        other = self.disk_file("other", 2 * MIB)
        process.must(process.patch("/drives/d0", {"drive_id": "d0", "path_on_host": other}))
        process.until_console(f"capacity bytes={2 * MIB} ")
        process.until(lambda: process.console().count("last_status=0\n") == 3, "3 good reads of the last sector")
        generations = [int(number) for number in re.findall(r"generation=(\d+)", process.console())]
        self.assertEqual(len(set(generations)), 3, generations)
        self.assertFault(process.patch("/drives/d0", {"drive_id": "d0", "path_on_host": self.folder + "/none"}), "path_on_host")
        self.assertEqual(process.state(), "Running")

    def test_a_swap_under_load_loses_nothing(self):
        # The same file by two names: whatever is in flight must get there.
        path = self.disk_file()
        link = path + "-link"
        os.link(path, link)
        process = self.launch("block_io", f"op=verify depth=32 cycles={2 * CYCLES_A_SECOND}", drives=[{"path_on_host": path}])
        process.until_console("go\n")
        self.while_it_runs(process, [("/drives/d0", {"drive_id": "d0", "path_on_host": name}) for name in (link, path) * 20])
        self.assertClean(self.results(process))

    def test_pause_and_resume_under_load(self):
        for engine in ENGINES:
            with self.subTest(engine=engine):
                folder = os.path.join(self.folder, engine)
                os.mkdir(folder)
                path = self.disk_file(os.path.join(folder, "disk"))
                process = self.launch("block_io", f"op=verify depth=32 cycles={3 * CYCLES_A_SECOND}", folder=folder,
                                      drives=[{"path_on_host": path, "io_engine": engine}])
                process.until_console("go\n")
                self.while_it_runs(process, [("/vm", {"state": state}) for state in ("Paused", "Resumed") * 30])
                self.assertClean(self.results(process))

    def test_pause_stops_the_disk(self):
        path = self.disk_file()
        process = self.launch("block_io", f"op=write depth=32 cycles={120 * CYCLES_A_SECOND}", drives=[{"path_on_host": path}])
        process.until_console("go\n")
        process.must(process.patch("/vm", {"state": "Paused"}))
        with open(path, "r+b") as file:
            file.write(bytes(4 * MIB))
        time.sleep(0.2)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), bytes(4 * MIB))
        process.must(process.patch("/vm", {"state": "Resumed"}))
        self.assertEqual(process.state(), "Running")

    def seconds_for(self, limiter, words, folder_name):
        folder = os.path.join(self.folder, folder_name)
        os.mkdir(folder)
        path = self.disk_file(os.path.join(folder, "disk"))
        process = self.launch("block_io", words, folder=folder, drives=[{"path_on_host": path, "rate_limiter": limiter}])
        process.until_console("go\n")
        began = time.monotonic()
        self.assertClean(self.results(process))
        return time.monotonic() - began

    def test_the_rate_limiter_holds(self):
        # 200 at once, and then 2000 a second: 1 second for 2200. Never faster; slower on a busy machine.
        seconds = self.seconds_for({"ops": {"size": 200, "refill_time": 100}}, "op=read depth=32 count=2200", "ops")
        self.assertGreater(seconds, 0.95)
        self.assertLess(seconds, 5)
        # 1 MiB at once, then 4 MiB a second: 1 second for 5 MiB.
        seconds = self.seconds_for({"bandwidth": {"size": MIB, "refill_time": 250}}, "op=write depth=4 bs=32768 count=160", "bytes")
        self.assertGreater(seconds, 0.95)
        self.assertLess(seconds, 5)
        # A burst is spent once: 2000 and 200 at once, then 2000 a second.
        seconds = self.seconds_for({"ops": {"size": 200, "one_time_burst": 2000, "refill_time": 100}},
                                   "op=read depth=32 count=4200", "burst")
        self.assertGreater(seconds, 0.95)
        self.assertLess(seconds, 5)

    def test_the_rate_limiter_changes_under_load(self):
        path = self.disk_file()
        slow = {"ops": {"size": 10, "refill_time": 1000}}
        process = self.launch("block_io", "op=read depth=32 count=20000", drives=[{"path_on_host": path, "rate_limiter": slow}])
        process.until_console("go\n")
        time.sleep(0.3)
        self.assertNotIn("block_io:", process.console())  # it would take half an hour
        fast = {"ops": {"size": 0, "refill_time": 0}}
        process.must(process.patch("/drives/d0", {"drive_id": "d0", "rate_limiter": fast}))
        self.assertClean(self.results(process))

    def test_without_io_uring(self):
        path = self.disk_file()
        process = self.launch("block_io", "op=verify depth=32", drives=[{"path_on_host": path}], io={"io_uring": False})
        self.assertClean(self.results(process))
        self.assertEqual(process.wait(), 0, process.log())
        self.assertIn("epoll", process.log())
        process = self.hearth(folder=self.disk_folder("refused"), io_uring=False)
        process.configure("block_io")
        process.must(process.put("/drives/d0", {"drive_id": "d0", "is_root_device": False, "path_on_host": path,
                                                "io_engine": "Async"}))
        self.assertFault(process.put("/actions", {"action_type": "InstanceStart"}), "io_engine")

    def disk_folder(self, name):
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        return folder


if __name__ == "__main__":
    machine.main()
