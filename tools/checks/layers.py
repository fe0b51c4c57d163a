#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: reads the #include lines and compares them with the table below.

The table is docs/architecture.md's "Who may include whom". Also: reinterpret_cast belongs to runtime/memory.
"""

import fnmatch
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

RUNTIME = ["base", "proto", "runtime/memory", "runtime/hypervisor", "runtime/control"]
DEVICE = RUNTIME + ["devices/bus"]

# Folder (the longest that matches) -> what it may include besides itself. "*" is one path component.
LAYERS = {
    "base": [],
    "build": [],
    "proto": ["base"],
    "runtime/memory": ["base", "proto"],
    "runtime/hypervisor": ["base", "proto", "runtime/memory"],
    "runtime/control": ["base", "proto"],
    "runtime/boot": RUNTIME,
    "runtime/resources": RUNTIME + ["runtime/boot"],
    "runtime/vmm": RUNTIME + ["runtime/boot", "runtime/resources", "devices"],
    # The program puts the machine and its API together.
    "runtime/vmm/main.cc": RUNTIME + ["runtime/vmm", "runtime/boot", "runtime/resources", "devices", "api-server"],
    "devices/bus": RUNTIME,
    "devices/platform": DEVICE,
    "devices/virtio": DEVICE + ["devices/virtio/*"],  # the generated table, and the suite over all devices
    "devices/virtio/core": DEVICE,
    "devices/virtio/*": DEVICE + ["devices/virtio/core"],
    "api-server": ["base", "proto", "runtime/control"],
    "jailer": ["base", "proto"],
    "cli": ["base", "proto"],
    "containerd-shim": ["base", "proto", "cli"],
    "guest-agent": ["base", "proto"],
    "kvmmod": [],
    "guest-kernel-configs": [],
    "integration-tests": ["base", "proto"],
    "bench": ["base", "proto"],
    "bench/queue": DEVICE + ["devices/virtio/core"],  # measures it from inside
}

# Where bytes become objects by necessity. Everything else goes through GuestSlice or memcpy.
CASTS = {
    "runtime/memory/*": "the one home of guest memory",
    "runtime/hypervisor/*": "KVM's ioctls take lists with a variable tail, and integers in the place of pointers",
    "*_test.cc": "tests look at bytes",
    "*_fuzz.cc": "a fuzzer's input is bytes",
    "*_fake.h": "fakes look at bytes",
    "build/*": "glue of tests; no product code",
    "bench/*": "no product code",
    "integration-tests/*": "no product code",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def matches(pattern, path):
    """Is `path` the file or below the folder that `pattern` names?"""
    wanted, parts = pattern.split("/"), path.split("/")
    return len(parts) >= len(wanted) and all(fnmatch.fnmatchcase(p, w) for p, w in zip(parts, wanted))


def layer_of(path):
    """The most specific row: the longest, and a named folder before '*'. None where there is none."""
    # '*' stands for a folder, so there is something below it.
    found = [p for p in LAYERS if matches(p + "/*" if "*" in p else p, path)]
    return max(found, key=lambda p: (p.count("/"), "*" not in p), default=None)


def resolve(path, include, known_folders):
    """The included file relative to the top; None for a header of the system in quotes."""
    if "/" in include and include.split("/")[0] in known_folders:
        return os.path.normpath(include)
    if include.startswith("google/") or include.startswith("absl/"):
        return None
    beside = os.path.normpath(os.path.join(os.path.dirname(path), include))
    return beside if not include.count("/") or include.startswith(".") else None


def own_folder(path, layer):
    """What a file may always include: below the folder that its row stands for, with '*' filled in."""
    depth = len(layer.split("/"))
    return "/".join(path.split("/")[:depth])


def check_includes(path, text, known_folders):
    layer = layer_of(path)
    if layer is None:
        return [f"{path}: its folder has no layer; add a row to LAYERS in tools/checks/layers.py"]
    problems = []
    for match in INCLUDE.finditer(text):
        target = resolve(path, match.group(1), known_folders)
        if target is None or target.split("/")[0] not in known_folders:
            continue
        own = own_folder(path, layer)
        # Below the own folder there may be folders with rows of their own.
        if matches(own, target) and layer_of(target) == layer:
            continue
        if any(matches(allowed, target) for allowed in LAYERS[layer]):
            continue
        line = text.count("\n", 0, match.start(1)) + 1
        problems.append(f"{path}:{line}: includes {target}, but {layer} may include only "
                        f"{', '.join([own] + LAYERS[layer])}")
    return problems


def check_casts(path, text):
    if any(fnmatch.fnmatchcase(path, pattern) for pattern in CASTS):
        return []
    code = COMMENT_OR_STRING.sub(lambda m: "\n" * m.group(0).count("\n"), text)
    return [f"{path}:{number}: reinterpret_cast outside runtime/memory; use GuestSlice, memcpy or a typed wrapper"
            for number, line in enumerate(code.split("\n"), 1) if "reinterpret_cast" in line]


def main():
    paths = [p for p in tree.files() if p.endswith(tree.CPP + tree.C)]
    known = {p.split("/")[0] for p in tree.files() if "/" in p}
    problems = []
    for path in paths:
        text = tree.read(path)
        problems += check_includes(path, text, known)
        if path.endswith(tree.CPP):
            problems += check_casts(path, text)
    return tree.report("layers", problems, len(paths))


if __name__ == "__main__":
    sys.exit(main())
