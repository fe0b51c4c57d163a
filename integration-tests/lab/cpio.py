# SPDX-License-Identifier: Apache-2.0
"""Writes cpio archives ("newc") for initramfs: same entries in, same bytes out, device nodes without root."""

import os
import stat


class Cpio:
    """Collects entries; write() sorts nothing: an entry's folder has to come before it."""

    def __init__(self):
        self._chunks = []
        self._inode = 0

    def _add(self, name, mode, data=b"", rdev=(0, 0)):
        self._inode += 1
        encoded = name.lstrip("/").encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._chunks.append(_padded(header + encoded))
        self._chunks.append(_padded(data))

    def folder(self, name, mode=0o755):
        self._add(name, stat.S_IFDIR | mode)

    def character_device(self, name, major, minor, mode=0o600):
        self._add(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def link(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def data(self, name, data, mode=0o644):
        self._add(name, stat.S_IFREG | mode, data)

    def file(self, name, path, mode=None):
        with open(path, "rb") as source:
            data = source.read()
        if mode is None:
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
        self.data(name, data, mode)

    def write(self, path, align=4096):
        """Pads to `align` with zeros, which the kernel skips: whole pages can be mapped from the file."""
        self._inode = -1
        self._add("TRAILER!!!", 0)
        size = sum(len(chunk) for chunk in self._chunks)
        with open(path, "wb") as target:
            for chunk in self._chunks:
                target.write(chunk)
            target.write(bytes(-size % align))


def _padded(data):
    return data + bytes(-len(data) % 4)
