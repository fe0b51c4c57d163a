#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clients and hosts get wrong: refused with the reason, and nothing else happens."""

import os

import machine
from machine import MachineTest, config_of, guest


class BadRequests(MachineTest):
    needs_kvm = False

    def setUp(self):
        super().setUp()
        self.process = self.hearth()

    def tearDown(self):
        # Whatever was refused, the process serves on and nothing has started.
        self.assertEqual(self.process.state(), "Not started")

    def test_a_kernel_that_is_not_there(self):
        reply = self.process.put("/boot-source", {"kernel_image_path": "/no/such/kernel"})
        self.assertFault(reply, "kernel_image_path", "/no/such/kernel")

    def test_a_kernel_that_is_a_folder(self):
        self.assertFault(self.process.put("/boot-source", {"kernel_image_path": self.folder}), "kernel_image_path")

    def test_fields_out_of_range_or_of_the_wrong_type(self):
        for body in ({"vcpu_count": 0, "mem_size_mib": 128}, {"vcpu_count": 65, "mem_size_mib": 128},
                     {"vcpu_count": "2", "mem_size_mib": 128}, {"vcpu_count": 1.5, "mem_size_mib": 128},
                     {"vcpu_count": -1, "mem_size_mib": 128}):
            with self.subTest(body=body):
                self.assertFault(self.process.put("/machine-config", body), "vcpu_count")
        self.assertFault(self.process.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 0}), "mem_size_mib")

    def test_unknown_and_missing_fields(self):
        self.assertFault(self.process.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 128, "cpus": 1}), "cpus")
        self.assertFault(self.process.put("/boot-source", {}), "kernel_image_path")

    def test_what_is_not_json(self):
        for raw in ("", "{", "[]", "null", '{"vcpu_count":1,}', "{'vcpu_count':1}", "\0", "[" * 10000):
            with self.subTest(raw=raw[:20]):
                self.assertEqual(self.process.call("PUT", "/machine-config", raw=raw).status, 400)

    def test_unknown_paths_and_methods(self):
        for method, path in (("GET", "/nothing"), ("DELETE", "/machine-config"), ("POST", "/actions")):
            with self.subTest(method=method, path=path):
                self.assertGreaterEqual(self.process.call(method, path).status, 400)

    def test_a_start_without_a_kernel(self):
        self.assertFault(self.process.put("/actions", {"action_type": "InstanceStart"}))


class BadKernels(MachineTest):
    def refused(self, content, mem_mib=128):
        path = os.path.join(self.folder, "kernel")
        with open(path, "wb") as f:
            f.write(content)
        process = self.hearth()
        process.must(process.put("/boot-source", {"kernel_image_path": path}))
        process.must(process.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": mem_mib}))
        reply = process.put("/actions", {"action_type": "InstanceStart"})
        self.assertFault(reply, path)
        self.assertEqual(process.state(), "Not started")
        return process

    def hello(self):
        with open(guest("hello"), "rb") as f:
            return f.read()

    def test_not_a_kernel(self):
        self.refused(b"#!/bin/sh\n" * 1000)

    def test_a_truncated_kernel(self):
        self.refused(self.hello()[:20000])

    def test_a_kernel_larger_than_memory(self):
        self.refused(self.hello(), mem_mib=1)

    def test_a_start_that_failed_can_be_tried_again(self):
        process = self.refused(b"nothing")
        process.configure("hello")
        process.start()
        self.assertEqual(process.wait(), 0, process.log())


class BadHosts(MachineTest):
    needs_kvm = False

    def test_no_kvm_node(self):
        process = self.hearth(kvm_node=os.path.join(self.folder, "kvm"))
        process.configure("hello")
        reply = process.put("/actions", {"action_type": "InstanceStart"})
        self.assertFault(reply, os.path.join(self.folder, "kvm"))
        self.assertEqual(process.state(), "Not started")

    def test_a_kvm_node_that_is_something_else(self):
        process = self.hearth(kvm_node="/dev/null")
        process.configure("hello")
        self.assertFault(process.put("/actions", {"action_type": "InstanceStart"}), "/dev/null")


class BadConfigurationFiles(MachineTest):
    needs_kvm = False

    def refused(self, config, *parts):
        process = self.hearth(api=False, config=config)
        self.assertNotEqual(process.wait(), 0)
        self.assertGreater(process.process.returncode, 0, "killed by a signal")
        for part in parts:
            self.assertIn(part, process.log())

    def test_not_json(self):
        self.refused("{", "config.json")

    def test_an_unknown_noun(self):
        self.refused(dict(config_of("hello"), nonsense={}), "nonsense")

    def test_a_field_out_of_range(self):
        self.refused(config_of("hello", vcpus=1000), "vcpu_count")

    def test_no_kernel(self):
        self.refused({"machine-config": {"vcpu_count": 1, "mem_size_mib": 128}})

    def test_no_file(self):
        process = self.hearth("--config-file", os.path.join(self.folder, "missing.json"), api=False)
        self.assertGreater(process.wait(), 0)
        self.assertIn("missing.json", process.log())


if __name__ == "__main__":
    machine.main()
