"""tiny_guest(): a freestanding x86-64 guest, as an ELF file that a VMM can boot."""

# Not a cc_binary: these must not see the flags of the host's programs (sanitizers, PIE, the C library).
_FLAGS = " ".join([
    "-std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -static -no-pie -fno-pie -mcmodel=small",
    "-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none",
    "-fno-strict-aliasing -fno-tree-loop-distribute-patterns",
    "-Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments",
])

_SHARED = ["start.S", "guest.c"]

def tiny_guest(name, srcs, hdrs = [], image_start = 0x100000):
    """Builds `name`.elf from `srcs` and what all guests share, to be loaded at `image_start`."""
    native.genrule(
        name = name,
        srcs = _SHARED + srcs + hdrs + ["guest.h", "guest.ld"],
        outs = [name + ".elf"],
        cmd = "gcc %s -Wl,--defsym=image_start=%d -I$$(dirname $(location guest.h)) -Wl,-T,$(location guest.ld) -o $@ %s" % (
            _FLAGS,
            image_start,
            " ".join(["$(location %s)" % src for src in _SHARED + srcs]),
        ),
    )
