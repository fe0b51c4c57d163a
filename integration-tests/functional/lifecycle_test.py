#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""States of a machine through the API, and the ends of the process."""

import os
import signal
import socket
import time

import machine
from machine import MachineTest, config_of


class Lifecycle(MachineTest):
    def test_pause_stops_the_guest_and_resume_goes_on(self):
        process = self.boot("hello", "ticks")
        process.until_console("tick 3\n")
        for _ in range(3):
            process.must(process.patch("/vm", {"state": "Paused"}))
            self.assertEqual(process.state(), "Paused")
            time.sleep(0.05)  # what is on its way to the console arrives
            before = process.console()
            time.sleep(0.2)
            self.assertEqual(process.console(), before)
            process.must(process.patch("/vm", {"state": "Resumed"}))
            self.assertEqual(process.state(), "Running")
            process.until(lambda seen=before: len(process.console()) > len(seen) + 50, "more ticks")
        numbers = [int(line[5:]) for line in process.console().split("\n")[:-1] if line.startswith("tick ")]
        self.assertEqual(numbers, list(range(len(numbers))))

    def test_pause_and_resume_may_be_repeated(self):
        process = self.boot("hello", "ticks")
        for _ in range(50):
            for state in ("Paused", "Paused", "Resumed", "Resumed"):
                process.must(process.patch("/vm", {"state": state}))
        process.until_console("tick 1\n")

    def test_pause_of_many_processors_at_work(self):
        process = self.boot("smp", "work=1000000", vcpus=4)
        process.until_console("processors by")
        for _ in range(20):
            process.must(process.patch("/vm", {"state": "Paused"}))
            process.must(process.patch("/vm", {"state": "Resumed"}))
        self.assertIsNone(process.process.poll(), process.log())

    def test_pause_of_a_halted_guest(self):
        process = self.boot("hostile", "do=hlt")
        process.until_console("hlt\n")
        process.must(process.patch("/vm", {"state": "Paused"}))
        process.must(process.patch("/vm", {"state": "Resumed"}))

    def test_states_and_what_they_refuse(self):
        process = self.hearth()
        self.assertEqual(process.state(), "Not started")
        self.assertFault(process.patch("/vm", {"state": "Paused"}))
        self.assertFault(process.put("/actions", {"action_type": "SendCtrlAltDel"}))
        process.configure("hello", "exit=loop")
        process.start()
        self.assertEqual(process.state(), "Running")
        self.assertFault(process.put("/actions", {"action_type": "InstanceStart"}))
        self.assertFault(process.put("/machine-config", {"vcpu_count": 2, "mem_size_mib": 128}))
        self.assertFault(process.put("/boot-source", {"kernel_image_path": machine.guest("hello")}))
        process.must(process.put("/actions", {"action_type": "SendCtrlAltDel"}))

    def test_signals_end_the_process(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                folder = os.path.join(self.folder, number.name)
                os.mkdir(folder)
                process = self.hearth(folder=folder, config=config_of("hello", "exit=loop"))
                process.until_console("bye\n")
                process.process.send_signal(number)
                process.wait()

    def test_the_socket_goes_with_the_process(self):
        process = self.boot("hello")
        self.assertEqual(process.wait(), 0, process.log())
        self.assertFalse(os.path.exists(process.socket))


class Sockets(MachineTest):
    needs_kvm = False

    def test_a_socket_in_use_is_refused_and_left_alone(self):
        first = self.hearth()
        self.assertEqual(first.state(), "Not started")
        second = self.hearth()
        self.assertNotEqual(second.wait(), 0)
        self.assertIn("api.sock", second.log())
        self.assertEqual(first.state(), "Not started")

    def test_a_folder_that_is_not_there_is_an_error(self):
        process = self.hearth(socket_path=os.path.join(self.folder, "nowhere", "api.sock"))
        self.assertEqual(process.wait(), 1)
        self.assertIn("nowhere/api.sock", process.log())

    def test_a_client_that_sends_half_a_request_holds_nobody_up(self):
        process = self.hearth()
        self.assertEqual(process.state(), "Not started")
        with socket.socket(socket.AF_UNIX) as half:
            half.connect(process.socket)
            half.sendall(b"PUT /actions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            self.assertEqual(process.state(), "Not started")
        self.assertEqual(process.state(), "Not started")


if __name__ == "__main__":
    machine.main()
