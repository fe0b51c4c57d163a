#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of the lab itself. Each prints PASS, FAIL or SKIP with its reason.
#   lab_test.sh [--intel] [--guests]   also the Bochs lab; also boot our guest kernels under QEMU in the lab
# shellcheck disable=SC2317  # check calls its conditions by name
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
lab=$top/tools/lab
intel=0 guests=0
for word in "$@"; do
  case $word in
    --intel) intel=1 ;;
    --guests) guests=1 ;;
    *) sed -n '3,4s/^# *//p' "$0" >&2; exit 2 ;;
  esac
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
pass() { echo "PASS $1"; }
skip() { echo "SKIP $1: skipped, because $2"; }
bad() {
  echo "FAIL $1: $2"
  sed 's/^/  | /' "$scratch/out" "$scratch/err"
  failed=1
}

# run WANTED-STATUS ARGUMENT...: runs the lab; output in $scratch/out and $scratch/err.
status=0
run() {
  status=0
  "$lab" run "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
}
# check NAME WANTED-STATUS CONDITION...: a condition is a command that has to succeed.
check() {
  local name=$1 wanted=$2
  shift 2
  if [ "$status" != "$wanted" ]; then
    bad "$name" "exit status $status, wanted $wanted"
  elif [ $# -gt 0 ] && ! "$@"; then
    bad "$name" "'$*' does not hold"
  else
    pass "$name"
  fi
}
said() { grep -qxF "$1" "$scratch/out"; }
complained() { grep -qF "$1" "$scratch/err"; }

run -- sh -c 'echo to stdout; echo to stderr >&2; exit 7'
split_streams() { said 'to stdout' && ! said 'to stderr' && complained 'to stderr'; }
check lab_exit_status_and_streams 7 split_streams

run -- sh -c 'kill -9 $$'
check lab_death_by_signal 137

run -- sh -c 'echo "hearth-lab 0123456789abcdef exit 0"; echo "hearth-lab 0123456789abcdef end"; exit 3'
check lab_report_cannot_be_imitated 3

run -- sh -c 'sleep 1000 & echo left'
check lab_background_process_does_not_hold 0 said left

run -- sh -c "printf '%s\n' \"\$1\" 'b  c'" sh "it's \"quoted\" \$HOME"
check lab_arguments_arrive_unchanged 0 said "it's \"quoted\" \$HOME"

# Output comes while the command runs, not at its end: the reader stamps the lines.
if "$lab" run -- sh -c 'echo first; sleep 3; echo second' 2>"$scratch/err" |
  while read -r line; do echo "$line $(date +%s)"; done >"$scratch/out"; then
  first=$(awk '/^first/ {print $2}' "$scratch/out") second=$(awk '/^second/ {print $2}' "$scratch/out")
  if [ $((second - first)) -ge 1 ]; then pass lab_output_streams; else bad lab_output_streams "both lines came at once"; fi
else
  bad lab_output_streams "the run failed"
fi

mkdir "$scratch/folder"
echo data >"$scratch/folder/file"
head -c 5000000 /dev/urandom >"$scratch/big"
run --add "$scratch/folder:given" --add "$scratch/big:/usr/share/big" --out "$scratch/returned" \
  -- sh -c 'cat given/file && mkdir /out/deep && cp /usr/share/big /out/deep/'
returned() { said data && cmp -s "$scratch/big" "$scratch/returned/deep/big"; }
check lab_files_in_and_out 0 returned

run -- sh -c 'test -c /dev/kvm && test -c /dev/net/tun && grep -q memory /sys/fs/cgroup/cgroup.controllers &&
  mkdir /tmp/jail && unshare -m sh -c "mount -t tmpfs jail /tmp/jail && mkdir /tmp/jail/old && cd /tmp/jail && pivot_root . old"'
check lab_host_has_what_a_jail_needs 0

run -- sh -c 'echo 1 >/proc/sys/kernel/sysrq; echo before; sleep 1; echo c >/proc/sysrq-trigger'
panicked() { said before && complained 'the host crashed: ' && complained 'sysrq triggered crash'; }
check lab_panic_is_reported 125 panicked

run --append rdinit=/absent -- true
tried_again() { complained 'Kernel panic' && complained 'starting it again'; }
check lab_panic_before_the_command 125 tried_again

run -- poweroff -f
check lab_power_off_is_no_success 125 complained 'while the command ran'

run --timeout 8 -- sleep 100
check lab_timeout 125 complained '8.0 s have passed since the command started'

run --add "$scratch/absent" -- true
check lab_missing_file_is_named 125 complained "$scratch/absent"

# An interrupted run leaves no emulator and no folder behind.
"$lab" run -- sleep 100 >"$scratch/out" 2>"$scratch/err" &
runner=$!
for _ in $(seq 100); do
  emulator=$(pgrep -P "$runner" qemu-system || true)
  [ -z "$emulator" ] || break
  sleep 0.1
done
kill -TERM "$runner"
wait "$runner" || true
runs=${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}/lab-runs
if [ -z "$emulator" ]; then
  bad lab_cleans_up "no emulator was seen to start"
elif kill -0 "$emulator" 2>/dev/null || compgen -G "$runs/$runner.*" >/dev/null; then
  bad lab_cleans_up "the emulator or its folder in $runs is still there"
else
  pass lab_cleans_up
fi

run --icount -- lab-stamp ls /
mv "$scratch/out" "$scratch/once"
run --icount -- lab-stamp ls /
check lab_icount_repeats 0 cmp "$scratch/once" "$scratch/out"

if [ "$guests" = 1 ]; then
  for variant in acpi noacpi; do
    [ "$variant" = acpi ] && acpi=on || acpi=off
    for image in vmlinux bzImage; do
      run --guests --add-qemu --timeout 120 -- timeout 100 qemu-system-x86_64 -accel kvm -cpu host -smp 2 -m 128 \
        -M "microvm,acpi=$acpi,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on" \
        -nodefaults -no-user-config -display none -serial stdio -no-reboot \
        -kernel "kernels/$variant/$image" -initrd initrds/mini.cpio \
        -append 'console=ttyS0 quiet reboot=t panic=-1 hearth.exit=reboot'
      greeted() { grep -q 'Hello from user space on Linux .*-hearth, 2 CPUs' "$scratch/out"; }
      check "guest_${variant}_${image}_boots" 0 greeted
    done
  done
else
  skip guest_kernels_boot "--guests was not asked for; it builds two kernels"
fi

if [ "$intel" = 1 ]; then
  run --cpu intel -- sh -c 'exec 3<>/dev/kvm && grep -q vmx /proc/cpuinfo && echo opened; echo e >&2; exit 5'
  check lab_intel_has_kvm 5 said opened
  run --cpu intel --out "$scratch/intel" -- sh -c 'echo small >/out/file'
  intel_returned() { grep -qx small "$scratch/intel/file"; }
  check lab_intel_files_out 0 intel_returned
else
  skip lab_intel "--intel was not asked for; Bochs is slow"
fi
exit $failed
