#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The balloon gives memory back, and drivers that do what no driver does harm nobody but themselves."""

import os
import re

import machine
import network
from virtio_machine import CYCLES_A_SECOND, ENGINES, VirtioTest


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
