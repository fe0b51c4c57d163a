# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the devices' scripts share. Sourced in the lab's host, in a folder of the part's own. README.md tells how to use it.

# shellcheck disable=SC2034  # the parts' exit status
failed=0
: "${part:?}"

pass() { echo "PASS virtio:$part-$1"; }
# fail TEST WHY [VM]: with the end of that VM's console and log.
fail() {
  echo "FAIL virtio:$part-$1: $2"
  [ -z "${3:-}" ] || { tail -n 25 "$3.out"; tail -n 10 "$3.log"; } | cut -c1-200 | sed 's/^/  | /'
  failed=1
}
skip() { echo "SKIP virtio:$part-$1: skipped, because $2"; }

# check TEST WHY [VM] -- COMMAND...: PASS if the command succeeds.
check() {
  check_test=$1 check_why=$2 check_vm=
  shift 2
  [ "$1" = -- ] || { check_vm=$1; shift; }
  shift
  if "$@"; then pass "$check_test"; else fail "$check_test" "$check_why" "$check_vm"; return 1; fi
}

# Adds the guest's script (standard input), and for `kernel=debian` the drivers, to the busybox initrd: $1.cpio. In the guest, /proc, /sys, /dev and /tmp are
# mounted, `tools` mounts the drive with the tools and runs a program from it, and the end of the script ends the VM. The
# last line on the console is "script: STATUS".
make_initrd() {
  rm -rf "$1.root"
  mkdir -p "$1.root"
  [ "${kernel:-acpi}" != debian ] || cp -r /hearth/modules "$1.root"
  {
    cat <<'SCRIPT'
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev 2>/dev/null; mount -t tmpfs tmp /tmp
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for module in /modules/*; do [ ! -e "$module" ] || insmod "$module"; done
# tools PROGRAM...: from the drive whose serial is "tools".
tools() {
  if [ ! -d /mnt/tools/hearth ]; then
    mkdir -p /mnt/tools
    for disk in /sys/block/vd*; do
      [ "$(cat "$disk/serial")" != tools ] || mount -t squashfs -o ro "/dev/${disk##*/}" /mnt/tools
    done
    for folder in dev proc sys tmp; do mount -o bind "/$folder" "/mnt/tools/$folder"; done
  fi
  chroot /mnt/tools /bin/sh -c 'PATH=$PATH:/hearth; exec "$@"' sh "$@"
}
SCRIPT
    echo '('
    cat
    echo ')'
    # shellcheck disable=SC2016  # the guest's shell is to expand it
    echo 'echo "script: $?"; sync; echo o >/proc/sysrq-trigger 2>/dev/null; reboot -f'
  } >"$1.root/script"
  chmod 755 "$1.root/script"
  { cat /hearth/initrds/busybox.cpio; (cd "$1.root" && find . | cpio -o -H newc 2>/dev/null); } >"$1.cpio"
}

# The drive for `tools`: the host's own root image. For the "drives" of a configuration.
tools_drive='{"drive_id": "tools", "path_on_host": "/dev/vda", "is_root_device": false, "is_read_only": true, "serial": "tools"}'

# start VM [CONFIG [FLAG...]]: starts VM, whose initrd is VM.cpio, with further keys of the configuration file in CONFIG,
# such as '"drives": [...]'. Variables: kernel (acpi, noacpi or debian), vcpus, memory (MiB), machine (more of its
# configuration), arguments. Its process is in
# VM.pid, its console in VM.out, its log in VM.log, its API at VM.sock.
start() {
  vm=$1 config=${2:-}
  shift
  [ $# = 0 ] || shift
  cat >"$vm.json" <<TEXT
{"boot-source": {"kernel_image_path": "/hearth/kernels/${kernel:-acpi}/vmlinux", "initrd_path": "$PWD/$vm.cpio",
  "boot_args": "console=ttyS0 reboot=k panic=1 quiet rdinit=/script ${arguments:-}"},
 "machine-config": {"vcpu_count": ${vcpus:-1}, "mem_size_mib": ${memory:-256}${machine:+, $machine}}${config:+, $config}}
TEXT
  /hearth/hearth --api-sock "$vm.sock" --config-file "$vm.json" --log-path "$vm.log" "$@" </dev/null >"$vm.out" 2>&1 &
  echo $! >"$vm.pid"
}

# ended VM [SECONDS]: waits for its end; true if the process ended with 0 and the script did too.
ended() {
  for _ in $(seq $((${2:-120} * 5))); do
    kill -0 "$(cat "$1.pid")" 2>/dev/null || break
    sleep 0.2
  done
  if kill -0 "$(cat "$1.pid")" 2>/dev/null; then
    echo "the VM did not end" >>"$1.out"
    kill -9 "$(cat "$1.pid")"
    return 1
  fi
  ended_status=0
  wait "$(cat "$1.pid")" || ended_status=$?
  [ "$ended_status" = 0 ] || echo "hearth ended with status $ended_status" >>"$1.out"
  [ "$ended_status" = 0 ] && grep -q '^script: 0' "$1.out"
}

# said VM PATTERN [SECONDS]: waits until the console has a line that matches.
said() {
  for _ in $(seq $((${3:-60} * 5))); do
    grep -q "$2" "$1.out" && return 0
    kill -0 "$(cat "$1.pid")" 2>/dev/null || break
    sleep 0.2
  done
  grep -q "$2" "$1.out"
}

# api VM METHOD PATH [BODY]: prints the answer's body; true for 2xx.
api() {
  api_status=$(curl -sS --max-time 20 --unix-socket "$1.sock" -o "$1.answer" -w '%{http_code}' -X "$2" \
    "http://localhost$3" ${4:+-H 'Content-Type: application/json' -d "$4"}) || { echo "curl failed for $2 $3"; return 1; }
  cat "$1.answer"
  case $api_status in 2??) ;; *) return 1 ;; esac
}

# The VMM's resident memory in KiB.
rss_kib() { awk '/^Rss:/ { print $2 }' "/proc/$(cat "$1.pid")/smaps_rollup"; }
