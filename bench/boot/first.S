// SPDX-License-Identifier: Apache-2.0
// The smallest guest: its first instructions print "!\n" on the serial port, then it halts. Entered in 64-bit mode by the
// Linux protocol or in 32-bit mode by PVH; the bytes mean the same in both.
        .section .text
        .globl _start
        .code32
_start:
        movl    $0x3f8, %edx
        movb    $'!', %al
        outb    %al, %dx
        movb    $'\n', %al
        outb    %al, %dx
1:      hlt
        jmp     1b

        .section .note, "a"
        .balign 4
        .long   4, 4, 18                # name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   _start
