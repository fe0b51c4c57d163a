#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Network devices under the polled driver of a tiny guest, over a TAP in a network namespace of its own."""

import os
import re
import threading
import time

import machine
import network
from virtio_machine import CYCLES_A_SECOND, VirtioTest


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
        self.while_it_runs(process, [("/vm", {"state": state}) for state in ("Paused", "Resumed") * 30])
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


if __name__ == "__main__":
    machine.main()
