#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The part of linux_test.sh that runs in the lab, as root.
set -u
cd /tmp || exit 2
common='console=ttyS0 reboot=k panic=1 quiet'
failed=0

pass() { echo "PASS linux:$1"; }
fail() {
  echo "FAIL linux:$1: $2"
  tail -n 15 out | sed 's/^/  | /'
  failed=1
}

# config KERNEL INITRD VCPUS ARGUMENTS [PROTOCOL [MORE]]: writes config.json; MORE is for machine-config.
config() {
  cat >config.json <<TEXT
{"boot-source": {"kernel_image_path": "/hearth/kernels/$1", "initrd_path": "/hearth/initrds/$2.cpio",
 "boot_args": "$common $4", "boot_protocol": "${5:-Auto}"},
 "machine-config": {"vcpu_count": $3, "mem_size_mib": 256${6:-}}}
TEXT
}

# boot NAME WANTED: runs config.json's machine to its end; WANTED must be on its console.
boot() {
  status=0
  timeout 120 /hearth/hearth --no-api --config-file config.json </dev/null >out 2>&1 || status=$?
  if [ "$status" != 0 ]; then
    fail "$1" "exit status $status"
  elif ! grep -q "$2" out; then
    fail "$1" "no \"$2\" on the console"
  else
    pass "$1"
  fi
}

for kernel in acpi noacpi debian; do
  for image in vmlinux bzImage; do
    for vcpus in 1 2 4; do
      # A kernel without ACPI has no way to power off.
      ends='poweroff reboot'
      [ "$kernel" != noacpi ] || ends=reboot
      for end in $ends; do
        config "$kernel/$image" mini "$vcpus" "hearth.exit=$end"
        [ "$vcpus" = 1 ] && cpus='1 CPU,' || cpus="$vcpus CPUs,"
        boot "$kernel-$image-${vcpus}vcpu-$end" "Hello from user space.* $cpus"
      done
    done
  done
  config "$kernel/vmlinux" mini 2 'hearth.exit=reboot' PVH
  boot "$kernel-pvh" 'Hello from user space.* 2 CPUs,'
done

# The pages behind the guest: transparent huge ones, and the host's pool. With dirty tracking on top.
config noacpi/vmlinux mini 2 'hearth.exit=reboot' Auto ', "huge_pages": "Transparent", "track_dirty_pages": true'
boot transparent-huge-pages 'Hello from user space'
config noacpi/vmlinux mini 1 'hearth.exit=reboot' Auto ', "huge_pages": "2M"'
if /hearth/hearth --no-api --config-file config.json </dev/null >out 2>&1 || ! grep -q nr_hugepages out; then
  fail hugetlbfs-pool-is-empty 'no error that names nr_hugepages'
else
  pass hugetlbfs-pool-is-empty
fi
echo 136 >/proc/sys/vm/nr_hugepages
boot hugetlbfs 'Hello from user space'
echo 0 >/proc/sys/vm/nr_hugepages

config acpi/vmlinux mini 1 'hearth.exit=triple'
boot triple-fault-ends-with-registers 'rip='

# What is typed reaches the guest's shell, and what it says comes back.
config acpi/vmlinux busybox 1 'hearth.exit=shell'
status=0
# shellcheck disable=SC2016  # the guest's shell is to calculate
(sleep 8; echo 'echo the answer is $((6 * 7))'; sleep 2; echo 'poweroff -f'; sleep 20) |
  timeout 60 /hearth/hearth --no-api --config-file config.json >out 2>&1 || status=$?
if [ "$status" = 0 ] && grep -q 'the answer is 42' out; then pass console-input; else fail console-input "status $status"; fi

# A running Linux by REST: start, pause (the console falls silent), resume, Ctrl-Alt-Del (it reboots: the end).
api() { /hearth/curl -sS --max-time 20 --unix-socket api.sock -o answer -w '%{http_code}' -X "$1" "http://localhost$2" ${3:+-d "$3"}; }
expect() {
  got=$(api "$2" "$3" "${4:-}")
  [ "$got" = "$1" ] || { fail "rest" "$2 $3: HTTP $got, wanted $1: $(cat answer)"; return 1; }
}
rest() {
  /hearth/hearth --api-sock api.sock </dev/null >out 2>&1 &
  vmm=$!
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ -S api.sock ] && break; sleep 0.2; done
  sleep 0.2
  expect 204 PUT /machine-config '{"vcpu_count": 2, "mem_size_mib": 256}' || return
  expect 204 PUT /boot-source "{\"kernel_image_path\": \"/hearth/kernels/noacpi/vmlinux\",
    \"initrd_path\": \"/hearth/initrds/mini.cpio\", \"boot_args\": \"$common hearth.exit=idle\"}" || return
  expect 204 PUT /actions '{"action_type": "InstanceStart"}' || return
  expect 400 PUT /machine-config '{"vcpu_count": 1, "mem_size_mib": 128}' || return
  for _ in $(seq 60); do grep -q 'Hello from user space' out && break; sleep 0.5; done
  expect 204 PATCH /vm '{"state": "Paused"}' || return
  expect 200 GET / || return
  grep -q '"state": *"Paused"' answer || { fail rest "not paused: $(cat answer)"; return; }
  expect 204 PATCH /vm '{"state": "Resumed"}' || return
  expect 204 PUT /actions '{"action_type": "SendCtrlAltDel"}' || return
  for _ in $(seq 60); do kill -0 "$vmm" 2>/dev/null || break; sleep 0.5; done
  status=0
  wait "$vmm" || status=$?
  if [ "$status" != 0 ]; then
    fail rest "exit status $status after Ctrl-Alt-Del"
  elif [ -e api.sock ]; then
    fail rest "the socket is still there"
  else
    pass rest
  fi
}
rest
exit "$failed"
