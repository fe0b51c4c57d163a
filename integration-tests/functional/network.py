# SPDX-License-Identifier: Apache-2.0
"""A network namespace for a test, with TAPs in it and the host's end of them."""

import ctypes
import fcntl
import os
import select
import socket
import struct
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TAP = 2
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFF_UP = 1
SO_RCVBUFFORCE = 33
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
GUEST_MAC = bytes.fromhex("02fe00000002")
HOST_MAC = bytes.fromhex("02fe00000001")

_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """Why there can be no such namespace or TAP here."""


def _must(result, what):
    if result != 0:
        raise Unavailable(f"{what} failed: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """This process, and what it starts from now on, is in a network namespace of its own until close()."""

    def __init__(self):
        self.before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _must(_libc.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")
        except Unavailable:
            os.close(self.before)
            raise

    def close(self):
        _must(_libc.setns(self.before, CLONE_NEWNET), "setns")
        os.close(self.before)

    @staticmethod
    def add_tap(name):
        """A TAP that is there before a VMM opens it, and up; without the host's own chatter."""
        try:
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"/dev/net/tun cannot be opened: {error.strerror}") from None
        try:
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            fcntl.ioctl(tun, TUNSETPERSIST, 1)
        except OSError as error:
            raise Unavailable(f"no TAP can be made: {error.strerror}") from None
        finally:
            os.close(tun)
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            flags = struct.unpack("16sH22x", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0)))[1]
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | IFF_UP))

    @staticmethod
    def counters(name):
        """Frames that the host received from and sent to the guest."""
        with open("/proc/net/dev", encoding="ascii") as file:
            for line in file:
                if line.strip().startswith(name + ":"):
                    words = line.split(":")[1].split()
                    return int(words[1]), int(words[9])
        raise AssertionError(f"no interface {name}")


class Port:
    """The host's end of a TAP: raw frames."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.socket.bind((name, 0))
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def send(self, frame):
        self.socket.send(frame)

    def receive(self, limit_s):
        """The next frame from the guest, or None."""
        deadline = time.monotonic() + limit_s
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            frame, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:  # what we sent ourselves
                return frame


def udp_frame(number, size):
    """As the guest net_io knows it; `number` and bytes that follow from it."""
    payload = (struct.pack("<Q", number) + bytes((number + i) & 255 for i in range(size)))[:size - 42]
    ip = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0x4000, 64, 17, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))))
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into(">H", ip, 10, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    udp = struct.pack(">HHHH", 9, 9, size - 34, 0)
    return GUEST_MAC + HOST_MAC + b"\x08\0" + bytes(ip) + udp + payload
