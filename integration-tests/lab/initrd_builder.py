# SPDX-License-Identifier: Apache-2.0
"""Builds the guests' initrds; `initrd` is the command, `lab` puts them into the host."""

import os

import common
from cpio import Cpio


def build(name):
    """The path of the initrd `name`, built if the cache has it not."""
    init = common.compile_c(os.path.join(common.LAB, "init", "init.c"), common.FREESTANDING, "init")
    parts = [("file", init), ("file", __file__), ("file", os.path.join(common.LAB, "cpio.py"))]
    if name == "busybox":
        parts += [("file", common.BUSYBOX)]

    def make(path):
        archive = Cpio()
        for folder in ("dev", "proc", "sys"):
            archive.folder(folder)
        # So that init has a console with a kernel that mounts no devtmpfs.
        archive.character_device("dev/console", 5, 1)
        archive.file("init", init, 0o755)
        if name == "busybox":
            for folder in ("bin", "sbin", "usr", "usr/bin", "usr/sbin", "etc", "root", "tmp", "run", "mnt"):
                archive.folder(folder)
            archive.character_device("dev/null", 1, 3, 0o666)
            archive.character_device("dev/ttyS0", 4, 64)
            archive.data("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
            archive.data("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
            archive.file("bin/busybox", common.BUSYBOX, 0o755)
            for applet in common.busybox_applets():
                if applet != "bin/busybox":
                    archive.link(applet, "/bin/busybox")
        archive.write(path)
    return common.cached("initrds", f"{name}.cpio", common.digest(*parts), make)
