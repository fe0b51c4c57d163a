// SPDX-License-Identifier: Apache-2.0
// Where an application processor starts (SIPI vector 0x10, copied to 0x10000): real mode to long mode, a stack of its own,
// ap_main(index). Position-dependent on TRAMPOLINE.

#define TRAMPOLINE 0x10000

	.section .text
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl (trampoline_gdt_pointer - trampoline)
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0x20, %eax			// PAE
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax			// LME
	wrmsr
	mov $0x80000001, %eax		// PG, PE
	mov %eax, %cr0
	ljmpl $0x10, $ap_start64	// below 4 GiB, so straight into 64-bit code

	.align 8
trampoline_gdt:
	.quad 0
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
trampoline_gdt_pointer:
	.word trampoline_gdt_pointer - trampoline_gdt - 1
	.long TRAMPOLINE + trampoline_gdt - trampoline
trampoline_end:

	.code64
ap_start64:
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $1, %edi
	lock xadd %edi, ap_next
	mov %edi, %eax
	inc %eax
	shl $10, %eax			// 1 KiB each
	lea ap_stacks(%rax), %rsp
	call ap_main
1:	cli
	hlt
	jmp 1b

	.data
	.align 4
ap_next:
	.long 0

	.bss
	.align 16
ap_stacks:
	.skip 64 * 1024

	.section .note.GNU-stack, "", @progbits
