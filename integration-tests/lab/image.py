# SPDX-License-Identifier: Apache-2.0
"""The root file system of the lab's host: busybox, what was added, and the libraries that it needs."""

import glob
import io
import os
import re
import stat
import subprocess
import tarfile

import common
from cpio import Cpio

FOLDERS = ["bin", "sbin", "usr/bin", "usr/sbin", "etc", "dev", "proc", "sys", "root", "run", "tmp", "out", "mnt",
           "var/tmp", "hearth", "lib", "lib64", "usr/lib"]
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nkvm:x:36:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}
# Firmware and option ROMs that QEMU looks for when it runs as a VMM inside the lab.
QEMU_FIRMWARE = ["bios-microvm.bin", "bios-256k.bin", "qboot.rom", "kvmvapic.bin", "linuxboot.bin",
                 "linuxboot_dma.bin", "pvh.bin", "multiboot.bin", "multiboot_dma.bin", "vgabios-stdvga.bin"]
QEMU_FOLDERS = ["/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu"]
# Without these, Debian's kernel has no root, no channels and no KVM.
DEBIAN_MODULES = ["squashfs", "overlay", "loop", "virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "tun",
                  "veth", "bridge", "kvm", "kvm-amd", "kvm-intel"]


class Image:
    """What goes in: target path -> source path, text, or link."""

    def __init__(self):
        self.files = {}
        self.links = {}
        self._seen_libraries = set()

    def add(self, source, target):
        """A file or a folder; a dynamic program brings its libraries."""
        source = os.path.realpath(source)
        target = target.strip("/")
        if os.path.isdir(source):
            for folder, _, names in os.walk(source):
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.exists(path):
                        self.add(path, os.path.join(target, os.path.relpath(path, source)))
            return
        self.files[target] = source
        self._add_libraries(source)

    def _add_libraries(self, program):
        if not os.access(program, os.X_OK):
            return
        with open(program, "rb") as f:
            if f.read(4) != b"\x7fELF":
                return
        # A static program makes ldd fail, which is fine.
        listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for path in re.findall(r"(/\S+) \(0x", listed.stdout):
            if path not in self._seen_libraries:
                self._seen_libraries.add(path)
                self.files[path.strip("/")] = os.path.realpath(path)

    def add_qemu(self):
        self.add("/usr/bin/qemu-system-x86_64", "usr/bin/qemu-system-x86_64")
        for name in QEMU_FIRMWARE:
            for folder in QEMU_FOLDERS:
                if os.path.exists(os.path.join(folder, name)):
                    self.add(os.path.join(folder, name), f"usr/share/qemu/{name}")
                    break

    def squashfs(self):
        """The path of the image, made anew only if a file changed. Not compressed: unpacking costs the emulator
        more than reading."""
        base = _base_files()
        contents = {**base, **self.files}
        key = []
        for target in sorted(contents):
            info = os.stat(contents[target])
            key.append(f"{target} {contents[target]} {info.st_size} {info.st_mtime_ns} {info.st_mode}\n")
        key += [f"{target} {to}\n" for target, to in sorted(self.links.items())]
        common.trim("images", "root", keep=6)

        def make(path):
            command = ["mksquashfs", "-", path, "-tar", "-noI", "-noD", "-noF", "-noX", "-no-xattrs", "-quiet",
                       "-no-progress", "-mkfs-time", "0", "-no-exports"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) as process:
                try:
                    with tarfile.open(fileobj=process.stdin, mode="w|", bufsize=1 << 20) as tar:
                        _fill(tar, contents, self.links)
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                error = process.stderr.read().decode(errors="replace")
                if process.wait():
                    raise common.LabError(f"mksquashfs cannot write {path}:\n{error}")
        return common.cached("images", "root.squashfs", common.digest(("file", __file__), *key), make)


def _base_files():
    host = os.path.join(common.LAB, "host")
    files = {"bin/busybox": common.BUSYBOX, "sbin/lab-init": os.path.join(host, "lab-init")}
    for name in ("supervise", "stamp", "profile", "hold-vm"):
        files[f"sbin/lab-{name}"] = common.compile_c(os.path.join(host, f"{name}.c"), common.HOSTED, name)
    return files


def _fill(tar, contents, links):
    folders = set()

    def folder(name):
        if name and name not in folders:
            folder(os.path.dirname(name))
            folders.add(name)
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            info.mode = 0o1777 if name in ("tmp", "var/tmp") else 0o755
            tar.addfile(info)

    def link(name, to):
        folder(os.path.dirname(name))
        info = tarfile.TarInfo(name)
        info.type = tarfile.SYMTYPE
        info.linkname = to
        tar.addfile(info)

    for name in FOLDERS:
        folder(name)
    for target, source in sorted(contents.items()):
        folder(os.path.dirname(target))
        info = tarfile.TarInfo(target)
        info.size = os.path.getsize(source)
        info.mode = 0o755 if os.stat(source).st_mode & stat.S_IXUSR else 0o644
        with open(source, "rb") as f:
            tar.addfile(info, f)
    for name, text in ETC.items():
        if name not in contents:
            folder(os.path.dirname(name))
            info = tarfile.TarInfo(name)
            info.size = len(text)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    for applet in common.busybox_applets():
        if applet not in contents and applet not in links:
            link(applet, "/bin/busybox")
    for target, to in sorted(links.items()):
        link(target, to)


def initramfs(host_kernel, kernel_folder):
    """The first stage: busybox, /init, and a distribution kernel's modules."""
    parts = [("file", common.BUSYBOX), ("file", os.path.join(common.LAB, "host", "init")), ("file", __file__),
             host_kernel, kernel_folder]

    def make(path):
        archive = Cpio()
        for name in ("bin", "dev", "proc", "sys", "lower", "rw", "newroot"):
            archive.folder(name)
        archive.character_device("dev/console", 5, 1)
        archive.file("bin/busybox", common.BUSYBOX, 0o755)
        archive.file("init", os.path.join(common.LAB, "host", "init"), 0o755)
        if host_kernel == "debian":
            archive.folder("modules")
            order = _module_order(os.path.join(kernel_folder, "modules"), DEBIAN_MODULES)
            for module in order:
                archive.file(f"modules/{os.path.basename(module)}", module, 0o644)
            archive.data("modules/order", "".join(os.path.basename(m) + "\n" for m in order).encode())
        archive.write(path)
    return common.cached("images", f"initramfs-{host_kernel}.cpio", common.digest(*parts), make)


def _module_order(folder, wanted):
    """The modules and all that they depend on, dependencies first."""
    by_name = {os.path.basename(p)[:-3].replace("-", "_"): p
               for p in glob.glob(os.path.join(folder, "**", "*.ko"), recursive=True)}
    order = []

    def visit(name):
        path = by_name.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        with open(path, "rb") as f:
            found = re.search(rb"\0depends=([^\0]*)\0", f.read())
        for dependency in (found.group(1).decode().split(",") if found else []):
            visit(dependency)
        order.append(path)

    for name in wanted:
        visit(name)
    return order
