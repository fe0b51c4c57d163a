#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Virtio devices under the polled driver of the tiny guests: data arrives, limits hold, changes are seen, abuse is survived."""

import array
import os
import re
import threading
import time

import machine
import network
from machine import MachineTest

MIB = 1 << 20
MASK = (1 << 64) - 1
ENGINES = ("Async", "Sync")
# Of the TSC: seconds on every machine that there is, more or less.
CYCLES_A_SECOND = 2_500_000_000


def pattern(offset, size, seed):
    """What block_io writes there."""
    mixed = seed * 0xD1342543DE82EF95
    return array.array("Q", (((at + 1) * 0x9E3779B97F4A7C15 ^ mixed) & MASK for at in range(offset, offset + size, 8))).tobytes()


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

    def assertClean(self, results):
        self.assertEqual((results.get("errors", 0), results.get("mismatches", 0), results.get("damaged", 0)), (0, 0, 0), results)


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
        path = os.path.join(machine.TOP, f".direct-{os.getpid()}")
        self.addCleanup(os.unlink, path)
        with open(path, "wb") as file:
            file.truncate(4 * MIB)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_DIRECT))
        except OSError as error:
            self.skipTest(f"O_DIRECT is not for {machine.TOP}: {error.strerror}")
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
        for name in (link, path) * 20:
            process.must(process.patch("/drives/d0", {"drive_id": "d0", "path_on_host": name}))
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
                for _ in range(30):
                    process.must(process.patch("/vm", {"state": "Paused"}))
                    process.must(process.patch("/vm", {"state": "Resumed"}))
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


class Net(VirtioTest):
    def setUp(self):
        super().setUp()
        try:
            namespace = network.Namespace()
            self.addCleanup(namespace.close)
            namespace.add_tap("tap0")
            self.namespace = namespace
            self.port = network.Port("tap0")
        except (network.Unavailable, PermissionError) as error:
            self.skipTest(str(error))
        self.addCleanup(self.port.close)

    def nic(self, **fields):
        return {"host_dev_name": "tap0", "guest_mac": "02:fe:00:00:00:02", **fields}

    def echo_until_the_guest_ends(self, process):
        """Sends back what the guest sends, addresses swapped."""
        while not re.search(r"^net_io:.*\n", process.console(), re.MULTILINE) and process.process.poll() is None:
            frame = self.port.receive(0.05)
            if frame is not None and frame[:6] == network.HOST_MAC:
                self.port.send(frame[6:12] + frame[:6] + frame[12:])

    def test_the_guest_pings_the_host(self):
        for i, words in enumerate(("", "mrg", "noeventidx noindirect", "size=1514", "queue=4")):
            with self.subTest(words=words):
                folder = os.path.join(self.folder, str(i))
                os.mkdir(folder)
                process = self.launch("net_io", f"do=ping count=200 {words}", folder=folder, nics=[self.nic()])
                self.echo_until_the_guest_ends(process)
                results = self.results(process)
                self.assertClean(results)
                # Another process had the processor when one was lost.
                self.assertGreaterEqual(results["received"], 190, results)
                self.assertIn("mac=02fe00000002 ", process.console())
                self.assertEqual(process.wait(), 0, process.log())

    def test_the_host_pings_the_guest(self):
        process = self.launch("net_io", "do=echo count=600", nics=[self.nic()])
        process.until_console("go\n")
        for number in range(600):
            size = 60 + number * 7 % 1455
            sent = network.udp_frame(number, size)
            self.port.send(sent)
            self.assertEqual(self.port.receive(10), sent[6:12] + sent[:6] + sent[12:], number)
        self.assertEqual(self.results(process)["received"], 600)

    def test_many_frames_at_once_come_back_in_order(self):
        process = self.launch("net_io", "do=echo count=2000", nics=[self.nic()])
        process.until_console("go\n")
        for first in range(0, 2000, 100):
            frames = [network.udp_frame(number, 100) for number in range(first, first + 100)]
            for frame in frames:
                self.port.send(frame)
            for frame in frames:
                self.assertEqual(self.port.receive(10), frame[6:12] + frame[:6] + frame[12:])

    def test_a_flood_from_the_guest_arrives_whole(self):
        process = self.launch("net_io", "do=tx count=50000", nics=[self.nic()])
        self.assertEqual(self.results(process)["sent"], 50000)
        self.assertEqual(process.wait(), 0, process.log())
        self.assertEqual(self.namespace.counters("tap0")[0], 50000)

    def test_the_transmit_limiter_holds(self):
        # 100 at once, then 1000 a second: 1 second for 1100.
        nic = self.nic(tx_rate_limiter={"ops": {"size": 100, "refill_time": 100}})
        process = self.launch("net_io", "do=tx count=1100", nics=[nic])
        process.until_console("go\n")
        began = time.monotonic()
        self.assertEqual(self.results(process)["sent"], 1100)
        self.assertGreater(time.monotonic() - began, 0.95 - 0.26)  # the rest fits into the ring of 256
        self.assertLess(time.monotonic() - began, 5)

    def test_the_receive_limiter_holds_and_changes(self):
        nic = self.nic(rx_rate_limiter={"ops": {"size": 50, "refill_time": 1000}})
        process = self.launch("net_io", "do=rx count=300", nics=[nic])
        process.until_console("go\n")
        for number in range(300):
            self.port.send(network.udp_frame(number, 64))
        time.sleep(0.5)
        self.assertNotIn("net_io:", process.console())  # it would take 5 seconds
        process.must(process.patch("/network-interfaces/n0", {
            "iface_id": "n0", "rx_rate_limiter": {"ops": {"size": 0, "refill_time": 0}}}))
        self.assertEqual(self.results(process)["received"], 300)

    def test_pause_and_resume_under_load(self):
        process = self.launch("net_io", f"do=bounce window=16 cycles={2 * CYCLES_A_SECOND}", nics=[self.nic()])
        process.until_console("go\n")
        echo = threading.Thread(target=self.echo_until_the_guest_ends, args=(process,))
        echo.start()
        for _ in range(30):
            process.must(process.patch("/vm", {"state": "Paused"}))
            process.must(process.patch("/vm", {"state": "Resumed"}))
        results = self.results(process)
        echo.join()
        self.assertClean(results)
        self.assertGreater(results["received"], 100, results)

    def test_a_limited_disk_does_not_hold_up_the_network(self):
        drive = {"path_on_host": self.disk_file(), "rate_limiter": {"ops": {"size": 10, "refill_time": 10000}}}
        process = self.launch("net_io", "do=ping count=200 flood=32", nics=[self.nic()], drives=[drive])
        self.echo_until_the_guest_ends(process)
        results = self.results(process)
        self.assertClean(results)
        self.assertGreaterEqual(results["received"], 190, results)
        self.assertLess(results["flooded"], 60, results)

    def test_without_io_uring(self):
        process = self.launch("net_io", "do=ping count=200", nics=[self.nic()], io={"io_uring": False})
        self.echo_until_the_guest_ends(process)
        results = self.results(process)
        self.assertClean(results)
        self.assertGreaterEqual(results["received"], 190, results)

    def test_a_tap_that_is_not_there(self):
        process = self.hearth()
        process.configure("net_io")
        process.must(process.put("/network-interfaces/n0", self.nic(iface_id="n0")))
        reply = process.put("/network-interfaces/n1", {"iface_id": "n1", "host_dev_name": "a/b"})
        if reply.status == 204:
            reply = process.put("/actions", {"action_type": "InstanceStart"})
        self.assertFault(reply, "host_dev_name")


class Balloon(VirtioTest):
    def rss_mib(self, process):
        with open(f"/proc/{process.process.pid}/smaps_rollup", encoding="ascii") as file:
            return int(re.search(r"^Rss: +(\d+) kB", file.read(), re.MULTILINE)[1]) / 1024

    def test_memory_goes_back_to_the_host_and_reads_zero_afterwards(self):
        process = self.launch("balloon_io", "mib=64", balloon={"amount_mib": 0})
        process.until_console("go\n")
        full = self.rss_mib(process)
        self.assertGreater(full, 64)
        for _ in range(3):
            process.must(process.patch("/balloon", {"amount_mib": 48}))
            process.until(lambda: process.console().endswith(f"actual={48 * 256} dirty=0\n"), "inflated balloon")
            self.assertLess(self.rss_mib(process), full - 46)
            process.must(process.patch("/balloon", {"amount_mib": 16}))
            process.until(lambda: process.console().endswith(f"actual={16 * 256} dirty=0\n"), "balloon of 16 MiB")
            self.assertGreater(self.rss_mib(process), full - 20)
            process.must(process.patch("/balloon", {"amount_mib": 0}))
            process.until(lambda: process.console().endswith(" actual=0 dirty=0\n"), "deflated balloon")
            self.assertGreater(self.rss_mib(process), full - 4)

    def test_statistics(self):
        process = self.launch("balloon_io", "stats", balloon={"amount_mib": 8, "stats_polling_interval_s": 1})
        process.until_console("stats sent\n")
        process.until(lambda: process.must(process.get("/balloon/statistics")).get("actual_mib") == 8, "statistics")
        statistics = process.must(process.get("/balloon/statistics"))
        self.assertEqual((statistics["target_mib"], statistics["target_pages"], statistics["actual_pages"]), (8, 2048, 2048))
        # The guest's values are 1000 and the tag, in pages.
        self.assertEqual(statistics["swap_in"], 1000 * 4096)
        self.assertEqual(statistics["free_memory"], 1004 * 4096)
        self.assertEqual(statistics["direct_reclaim"], 1015 * 4096)
        process.must(process.patch("/balloon/statistics", {"stats_polling_interval_s": 2}))

    def test_free_page_reporting(self):
        process = self.launch("balloon_io", "mib=64 report", balloon={"amount_mib": 0, "free_page_reporting": True})
        process.until_console("reported ranges=64 dirty=0\n")

    def test_reported_pages_leave_the_host(self):
        process = self.launch("balloon_io", "mib=64 report blind", balloon={"amount_mib": 0, "free_page_reporting": True})
        process.until_console("reported ranges=64\n")
        self.assertLess(self.rss_mib(process), 40)

    def test_free_page_hinting(self):
        process = self.launch("balloon_io", "mib=64 hint", balloon={"amount_mib": 0, "free_page_hinting": True})
        process.until_console("go\n")
        full = self.rss_mib(process)
        process.must(process.patch("/balloon/hinting/start", {"acknowledge_on_stop": False}))
        process.until_console("hinted command=")
        self.assertIn("ranges=64\n", process.console())
        self.assertLess(self.rss_mib(process), full - 60)
        process.until(lambda: process.must(process.get("/balloon/hinting/status")).get("guest_cmd") == 0, "end of the run")
        process.must(process.patch("/balloon/hinting/stop"))
        self.assertEqual(process.must(process.get("/balloon/hinting/status"))["host_cmd"], 1)


class Hostile(VirtioTest):
    def devices(self, folder):
        drives = [{"path_on_host": self.disk_file(os.path.join(folder, f"disk{engine}")), "io_engine": engine} for engine in ENGINES]
        return {"drives": drives,
                "balloon": {"amount_mib": 8, "stats_polling_interval_s": 1, "free_page_reporting": True, "free_page_hinting": True}}

    def hostile(self, name, words, **devices):
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        return self.launch("virtio_hostile", words, folder=folder, **{**self.devices(folder), **devices})

    def check(self, process, disks=2):
        results = self.results(process, "virtio_hostile")
        self.assertGreater(results["rounds"], 10, results)
        self.assertGreater(results["needs_reset"], 0, results)
        process.until_console("virtio_hostile: done\n")
        self.assertIn(f"recovered disks={disks} of={disks}\n", process.console())
        self.assertEqual(process.wait(), 0, process.log())

    def test_each_device_alone(self):
        for name, number, disks in (("block", 2, 2), ("balloon", 5, 0)):
            for seed in (1, 2, 3):
                with self.subTest(device=name, seed=seed):
                    process = self.hostile(f"{name}{seed}", f"only={number} seed={seed} cycles={CYCLES_A_SECOND}")
                    self.check(process, disks)

    def test_another_machine_goes_on_meanwhile(self):
        bad = self.hostile("bad", f"seed=7 cycles={5 * CYCLES_A_SECOND}")
        bad.until_console("go\n")
        path = self.disk_file()
        good = self.launch("block_io", f"op=verify depth=16 cycles={2 * CYCLES_A_SECOND}", drives=[{"path_on_host": path}])
        for _ in range(10):
            self.assertEqual(bad.state(), "Running")
            bad.must(bad.patch("/vm", {"state": "Paused"}))
            bad.must(bad.patch("/vm", {"state": "Resumed"}))
        self.assertClean(self.results(good))
        self.check(bad)

    def test_network(self):
        try:
            namespace = network.Namespace()
            self.addCleanup(namespace.close)
            namespace.add_tap("tap0")
        except network.Unavailable as error:
            self.skipTest(str(error))
        for seed in (1, 2, 3):
            with self.subTest(seed=seed):
                process = self.hostile(f"net{seed}", f"only=1 seed={seed} cycles={CYCLES_A_SECOND}",
                                       nics=[{"host_dev_name": "tap0"}])
                self.check(process, 0)


if __name__ == "__main__":
    machine.main()
