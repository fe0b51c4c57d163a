#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clients and hosts get wrong: refused with the reason, and nothing else happens."""

import json
import os
import shutil
import subprocess

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

    def test_smt_wants_pairs(self):
        self.assertFault(self.process.put("/machine-config", {"vcpu_count": 3, "mem_size_mib": 128, "smt": True}), "vcpu_count")

    def test_a_body_over_the_limit(self):
        reply = self.process.call("PUT", "/boot-source", raw='{"kernel_image_path": "' + "k" * 60000 + '"}')
        self.assertIn(reply.status, (400, 413))
        self.assertIn("51200", str(reply.body))

    def test_an_error_never_hides_the_next_request(self):
        self.assertFault(self.process.put("/machine-config", {"vcpu_count": 0, "mem_size_mib": 128}), "vcpu_count")
        self.process.must(self.process.put("/machine-config", {"vcpu_count": 2, "mem_size_mib": 64}))
        self.assertEqual(self.process.get("/machine-config").body["vcpu_count"], 2)

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


class BadMachines(MachineTest):
    """Each part is fine by itself, but they do not fit together; the start says which field has to change."""

    def refused(self, *parts, machine_config=None, **source):
        process = self.hearth()
        process.must(process.put("/boot-source", {"kernel_image_path": guest("hello"), **source}))
        process.must(process.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, **(machine_config or {})}))
        self.assertFault(process.put("/actions", {"action_type": "InstanceStart"}), *parts)
        self.assertEqual(process.state(), "Not started")

    def test_an_initrd_larger_than_memory(self):
        initrd = os.path.join(self.folder, "initrd")
        with open(initrd, "wb") as f:
            f.truncate(100 << 20)
        self.refused("initrd_path", initrd_path=initrd)

    def test_memory_beyond_the_hosts(self):
        self.refused("mem_size_mib", machine_config={"mem_size_mib": 16777216})

    def test_a_command_line_that_is_too_long(self):
        process = self.hearth()
        body = {"kernel_image_path": guest("hello"), "boot_args": "a" * 4000}
        self.assertFault(process.put("/boot-source", body), "boot_args", "2048")


class BadHosts(MachineTest):
    needs_kvm = False

    def test_no_kvm_node(self):
        process = self.hearth(kvm_node=os.path.join(self.folder, "kvm"))
        process.configure("hello")
        reply = process.put("/actions", {"action_type": "InstanceStart"})
        self.assertFault(reply, os.path.join(self.folder, "kvm"))
        self.assertEqual(process.state(), "Not started")

    def test_a_kvm_node_without_permission(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make a node that others may not open, and become another")
        node = os.path.join(self.folder, "kvm")
        os.chmod(self.folder, 0o755)
        with open(node, "wb"):
            os.chmod(node, 0o600)
        binary = os.path.join(machine.bin_dir(), "runtime/vmm/hearth")
        kernel = os.path.join(self.folder, "kernel")
        shutil.copy(guest("hello"), kernel)
        shutil.copy(binary, os.path.join(self.folder, "hearth"))
        config = os.path.join(self.folder, "nobody.json")
        with open(config, "w", encoding="utf-8") as f:
            json.dump({"boot-source": {"kernel_image_path": kernel}}, f)
        done = subprocess.run([os.path.join(self.folder, "hearth"), "--no-api", "--config-file", config, "--kvm-node", node],
                              user=65534, group=65534, extra_groups=[], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Permission denied; add this user to the group", done.stderr)

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
