# SPDX-License-Identifier: Apache-2.0
import unittest

import layers

FOLDERS = {"base", "proto", "runtime", "devices", "api-server", "jailer", "cli", "tools"}


def problems(path, *includes):
    return layers.check_includes(path, "".join(f'#include "{i}"\n' for i in includes), FOLDERS)


class LayersTest(unittest.TestCase):
    def test_downwards_is_allowed(self):
        self.assertEqual(problems("runtime/vmm/vmm.cc", "base/log.h", "runtime/memory/guest_memory.h",
                                  "devices/virtio/core/queue.h", "runtime/vmm/vcpu.h"), [])
        self.assertEqual(problems("devices/virtio/net/net.cc", "devices/virtio/core/queue.h", "devices/bus/bus.h",
                                  "devices/virtio/net/net.pb.h", "net.h"), [])

    def test_upwards_is_refused_with_line_and_rule(self):
        found = problems("runtime/memory/guest_memory.cc", "base/log.h", "runtime/vmm/vmm.h")
        self.assertEqual(len(found), 1)
        self.assertIn("runtime/memory/guest_memory.cc:2: includes runtime/vmm/vmm.h", found[0])

    def test_one_device_does_not_know_another(self):
        self.assertEqual(len(problems("devices/virtio/net/net.cc", "devices/virtio/block/block.h")), 1)
        self.assertEqual(len(problems("devices/virtio/core/queue.cc", "devices/virtio/net/net.h")), 1)

    def test_the_device_table_knows_all_devices(self):
        self.assertEqual(problems("devices/virtio/device_table.cc", "devices/virtio/net/net.h"), [])

    def test_only_main_joins_machine_and_api(self):
        self.assertEqual(problems("runtime/vmm/main.cc", "api-server/server.h", "runtime/vmm/vmm.h"), [])
        self.assertEqual(len(problems("runtime/vmm/vmm.cc", "api-server/server.h")), 1)
        self.assertEqual(len(problems("api-server/router.cc", "runtime/vmm/vmm.h")), 1)

    def test_jailer_and_cli_never_see_the_runtime(self):
        self.assertEqual(len(problems("jailer/main.cc", "runtime/control/resource.h")), 1)
        self.assertEqual(len(problems("cli/main.cc", "runtime/control/resource.h")), 1)

    def test_a_header_beside_is_not_a_way_around(self):
        self.assertEqual(len(problems("base/log.cc", "../runtime/vmm/vmm.h")), 1)

    def test_a_folder_without_a_row_is_a_problem(self):
        self.assertIn("no layer", problems("newthing/x.cc")[0])

    def test_system_headers_are_free(self):
        self.assertEqual(problems("base/log.cc", "absl/status/status.h", "google/protobuf/message_lite.h"), [])

    def test_casts(self):
        text = "// reinterpret_cast in a comment\nauto* p = reinterpret_cast<char*>(q);\n"
        self.assertEqual(len(layers.check_casts("devices/bus/bus.cc", text)), 1)
        self.assertIn("bus.cc:2:", layers.check_casts("devices/bus/bus.cc", text)[0])
        self.assertEqual(layers.check_casts("runtime/memory/guest_slice.h", text), [])


if __name__ == "__main__":
    unittest.main()
