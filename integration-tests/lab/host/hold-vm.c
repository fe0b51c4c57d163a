// SPDX-License-Identifier: Apache-2.0
// Holds an idle VM open in the lab's host, so that no VM of a test is ever KVM's first or last one.
//
// The first and the last VM switch static keys of the host's kernel (the scheduler's preempt
// notifiers, the local APIC's "all software-enabled"), that is, they patch code that other CPUs may
// be running. The emulator does not always get that right with several threads: now and then a host
// CPU met half an instruction in __schedule() and the host panicked. A test that unloads KVM ends
// this first: killall lab-hold-vm.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void) {
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
  // The APIC of a vCPU that never runs stays software-disabled.
  if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0) return 1;
  for (;;) pause();
}
