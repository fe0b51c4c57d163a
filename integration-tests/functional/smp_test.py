#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Processors: as many as asked for come up and work, by ACPI's table and by the MP table."""

import machine
from machine import MachineTest


class Smp(MachineTest):
    def check(self, vcpus, boot_args, table):
        process = self.boot("smp", boot_args, vcpus=vcpus)
        self.assertEqual(process.wait(), 0, process.log())
        self.assertIn(f"processors by {table}: {vcpus}\n", process.console())
        self.assertIn(f"smp: {vcpus} of {vcpus} processors are up, {vcpus} have worked\n", process.console())


for count in (1, 2, 4, 8):
    setattr(Smp, f"test_{count}_by_madt", lambda self, n=count: self.check(n, "", "MADT"))
    setattr(Smp, f"test_{count}_by_mp_table", lambda self, n=count: self.check(n, "noacpi", "MP table"))


if __name__ == "__main__":
    machine.main()
