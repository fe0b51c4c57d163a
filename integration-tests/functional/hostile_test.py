#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that do what no driver does: the VMM answers, does not grow and ends when told."""

import machine
from machine import MachineTest


class Hostile(MachineTest):
    def check(self, boot_args, *done):
        process = self.boot("hostile", boot_args + " exit=loop", vcpus=1)
        for what in done:
            process.until_console(f"hostile: {what} done\n")
        self.assertEqual(process.state(), "Running")
        process.must(process.patch("/vm", {"state": "Paused"}))
        process.must(process.patch("/vm", {"state": "Resumed"}))
        self.assertIsNone(process.process.poll(), process.log())

    def test_ports(self):
        self.check("do=ports", "ports")

    def test_mmio(self):
        self.check("do=mmio", "mmio")

    def test_all_with_other_values(self):
        for seed in ("1", "0xfeedface"):
            with self.subTest(seed=seed):
                process = self.hearth(api=False, config=machine.config_of("hostile", f"do=all seed={seed}"))
                self.assertEqual(process.wait(), 0, process.log())
                self.assertIn("hostile: mmio done\n", process.console())

    def test_halt_with_interrupts_off(self):
        process = self.boot("hostile", "do=hlt")
        process.until_console("hostile: hlt\n")
        self.assertEqual(process.state(), "Running")
        self.assertIsNone(process.process.poll(), process.log())

    def test_triple_fault(self):
        process = self.boot("hostile", "do=triple")
        process.wait()
        self.assertIn("triple fault", process.log())


class ExitCost(MachineTest):
    def test_the_meter_reads_both_rings(self):
        process = self.boot("exit_cost", "rounds=50")
        self.assertEqual(process.wait(), 0, process.log())
        rows = [line.split() for line in process.console().split("\n") if line[:2] in ("0 ", "3 ")]
        self.assertEqual(len(rows), 12, process.console())
        self.assertIn("done\n", process.console())


if __name__ == "__main__":
    machine.main()
