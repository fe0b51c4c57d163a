#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boots the guest `hello` every way there is, and sees how it ends."""

import os
import re
import subprocess

import machine
from machine import MachineTest, config_of


class Boot(MachineTest):
    def check_hello(self, process, protocol):
        self.assertEqual(process.wait(), 0, process.log())
        console = process.console()
        self.assertIn("Hello from a tiny guest\n", console)
        self.assertIn(f"protocol: {protocol}\n", console)
        self.assertTrue(console.endswith("bye\n"), console)
        return console

    def test_linux64_through_the_api(self):
        self.check_hello(self.boot("hello", protocol="Linux64"), "linux64")

    def test_pvh_through_the_api(self):
        self.check_hello(self.boot("hello", protocol="PVH"), "pvh")

    def test_from_a_configuration_file_without_the_api(self):
        process = self.hearth(api=False, config=config_of("hello", "some words"))
        self.assertEqual(process.wait(), 0, process.log())
        self.assertIn("command line: some words", process.console())

    def test_from_a_configuration_file_with_the_api(self):
        process = self.hearth(config=config_of("hello", "exit=loop"))
        process.until_console("bye\n")
        self.assertEqual(process.state(), "Running")

    def test_the_command_line_and_memory_arrive(self):
        for protocol in ("Linux64", "PVH"):
            for mem_mib in (32, 128, 4096):
                with self.subTest(protocol=protocol, mem_mib=mem_mib):
                    folder = os.path.join(self.folder, f"{protocol}-{mem_mib}")
                    os.mkdir(folder)
                    process = self.hearth(folder=folder, api=False,
                                          config=config_of("hello", "a b=c exit=s5", protocol, mem_mib=mem_mib))
                    console = self.check_hello(process, protocol.lower())
                    self.assertIn("command line: a b=c exit=s5", console)
                    kib = int(re.search(r"memory: (\d+) KiB", console)[1])
                    self.assertLessEqual(kib, mem_mib << 10)
                    self.assertGreater(kib, (mem_mib << 10) - 1024)

    def test_an_initrd_arrives(self):
        initrd = os.path.join(self.folder, "initrd")
        with open(initrd, "wb") as f:
            f.write(b"sixteen bytes and" + bytes(5000))
        for protocol in ("Linux64", "PVH"):
            with self.subTest(protocol=protocol):
                folder = os.path.join(self.folder, protocol)
                os.mkdir(folder)
                process = self.hearth(folder=folder, api=False, config=config_of("hello", "", protocol, initrd=initrd))
                console = self.check_hello(process, protocol.lower())
                self.assertRegex(console, r"initrd: 5017 bytes at 0x[0-9a-f]+000: sixteen bytes an\n")

    def test_reset_by_the_keyboard_controller_ends_with_0(self):
        process = self.boot("hello", "exit=i8042")
        self.assertEqual(process.wait(), 0, process.log())

    def test_a_triple_fault_is_reported_with_registers(self):
        process = self.boot("hello", "exit=triple")
        process.wait()
        self.assertTrue(process.console().endswith("bye\n"))
        self.assertIn("triple fault", process.log())
        self.assertIn("rip=", process.log())

    def test_the_boot_timer_logs_once_in_firecrackers_words(self):
        process = self.boot("hello", "boot_timer", "--boot-timer")
        self.assertEqual(process.wait(), 0, process.log())
        lines = re.findall(r"Guest-boot-time = +(\d+) us (\d+) ms, +(\d+) CPU us (\d+) CPU ms", process.log())
        self.assertEqual(len(lines), 1, process.log())
        self.assertEqual(int(lines[0][0]) // 1000, int(lines[0][1]))


class Console(MachineTest):
    def test_standard_input_reaches_the_guest_through_back_pressure(self):
        process = self.boot("hello", "echo=20000", stdin=subprocess.PIPE)
        text = "".join(f"{i}\n" for i in range(10000))[:20000]
        process.process.stdin.write(text.encode())
        process.process.stdin.flush()
        self.assertEqual(process.wait(), 0, process.log())
        self.assertIn(text + "bye\n", process.console())

    def test_a_prompt_without_a_newline_appears(self):
        process = self.boot("hello", "echo=100", stdin=subprocess.PIPE)
        for sent in ("a", "ab", "abc"):
            process.process.stdin.write(sent[-1:].encode())
            process.process.stdin.flush()
            process.until(lambda text=sent: process.console().endswith("ranges\n" + text), f"echo of {sent}")

    def test_output_within_a_rate(self):
        process = self.hearth()
        process.configure("hello")
        process.must(process.put("/serial", {"rate_limiter": {"size": 20, "refill_time": 3600000}}))
        process.start()
        self.assertEqual(process.wait(), 0, process.log())
        self.assertEqual(process.console(), "Hello from a tiny gu")

    def test_output_to_a_file(self):
        path = os.path.join(self.folder, "serial")
        process = self.hearth()
        process.configure("hello")
        process.must(process.put("/serial", {"serial_out_path": path}))
        process.start()
        self.assertEqual(process.wait(), 0, process.log())
        with open(path, encoding="utf-8") as f:
            self.assertTrue(f.read().endswith("bye\n"))
        self.assertEqual(process.console(), "")

    def test_a_reader_that_sleeps_does_not_stop_the_guest(self):
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        process = self.hearth()
        # More than the pipe and the ring behind it hold.
        process.configure("hello", "flood=150000")
        process.must(process.put("/serial", {"serial_out_path": fifo}))
        process.start()
        self.assertEqual(process.wait(), 0, process.log())


if __name__ == "__main__":
    machine.main()
