// SPDX-License-Identifier: Apache-2.0
// Both ways into a guest, the page tables and descriptor table it runs with, and the way to ring 3.
//
// _start        64-bit Linux boot protocol: long mode, rsi = boot_params.
// start_pvh     PVH: 32-bit protected mode without paging, ebx = hvm_start_info.
// enter_ring3   void enter_ring3(void (*function)(void)): runs `function` in ring 3, with all ports open. No way back.
//
// All of memory up to 4 GiB is mapped as it is, for both rings, by tables that the linker makes: the guest runs where
// ring 0 is interpreted, so what need not be computed is not.

#define PAGE_SIZE 4096
#define CODE_SELECTOR 0x10
#define DATA_SELECTOR 0x18
#define TSS_SELECTOR 0x30
#define TSS_SIZE 104
#define TSS_BITMAP_OFFSET 102
#define TSS_BITMAP_SIZE 8192		// and a byte of ones behind it
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081

#define PROTOCOL_LINUX 0
#define PROTOCOL_PVH 1

	// XEN_ELFNOTE_PHYS32_ENTRY
	.section .note.pvh, "a", @note
	.align 4
	.long 4, 8, 18
	.asciz "Xen"
	.quad start_pvh

	.section .text.start, "ax"
	.code64
	.globl _start
_start:
	mov $PROTOCOL_LINUX, %edi
	jmp start64

	.code32
	.globl start_pvh
start_pvh:
	cli
	mov $pml4, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax			// PAE
	mov %eax, %cr4
	mov $MSR_EFER, %ecx
	rdmsr
	or $0x100, %eax			// LME
	wrmsr
	lgdt gdt_pointer
	mov %cr0, %eax
	or $0x80000001, %eax		// PG, PE
	mov %eax, %cr0
	ljmp $CODE_SELECTOR, $1f
	.code64
1:	mov %ebx, %esi
	mov $PROTOCOL_PVH, %edi

start64:
	cli
	cld
	mov $stack_top, %rsp
	lgdt gdt_pointer
	mov $pml4, %rax
	mov %rax, %cr3
	mov $DATA_SELECTOR, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	call guest_start		// (protocol, boot_params or start_info)
1:	cli
	hlt
	jmp 1b

	.text
	.globl enter_ring3
enter_ring3:
	mov %rdi, %r8
	// Ports are open by the task state segment's bitmap (all zeros), not by IOPL 3: the KVM that interprets ring 0 drops
	// IOPL on the way to ring 3.
	mov $tss, %eax
	movw $TSS_SIZE, tss + TSS_BITMAP_OFFSET
	movb $0xff, tss + TSS_SIZE + TSS_BITMAP_SIZE
	mov %ax, tss_descriptor + 2
	shr $16, %eax
	mov %al, tss_descriptor + 4
	mov %ah, tss_descriptor + 7
	mov $TSS_SELECTOR, %eax
	ltr %ax
	mov $MSR_EFER, %ecx
	rdmsr
	or $1, %eax			// SCE
	wrmsr
	mov $MSR_STAR, %ecx
	xor %eax, %eax
	mov $0x00180010, %edx		// ring 3: CS 0x28, SS 0x20
	wrmsr
	mov %r8, %rcx
	mov $2, %r11d
	mov $user_stack_top, %rsp
	sysretq

	// Read by the processor only in `start_pvh` and on segment loads.
	.data
	.align 16
	.globl gdt_pointer
gdt:
	.quad 0
	.quad 0
	.quad 0x00af9b000000ffff	// 0x10: 64-bit code
	.quad 0x00cf93000000ffff	// 0x18: data
	.quad 0x00cff3000000ffff	// 0x20: data, ring 3
	.quad 0x00affb000000ffff	// 0x28: 64-bit code, ring 3
tss_descriptor:				// 0x30: the base is filled in
	.word TSS_SIZE + TSS_BITMAP_SIZE, 0
	.byte 0, 0x89, 0, 0
	.quad 0
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.section .data.page_tables, "aw"
	.align PAGE_SIZE
	.globl pml4
pml4:
	.quad pdpt + 7			// present, writeable, user
	.fill 511, 8, 0
pdpt:
	.quad pd + 0x0007
	.quad pd + 0x1007
	.quad pd + 0x2007
	.quad pd + 0x3007
	.fill 508, 8, 0
pd:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x87	// 2 MiB
	.set page, page + 1
	.endr

	.bss
	.align 16
tss:
	.skip TSS_SIZE + TSS_BITMAP_SIZE + 8
	.align 16
	.skip 16384
stack_top:
	.skip 16384
user_stack_top:

	.section .note.GNU-stack, "", @progbits
