#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Linux guests under hearth in the labs. AMD, in one boot of the lab: our kernels and Debian's, as vmlinux and as
# bzImage, by both boot protocols, with 1, 2 and 4 vCPUs, to user space and to their end; the console's input; the REST
# API on a running Linux. Intel: one of our kernels to user space. Each prints PASS or FAIL.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"
if [ -n "${HEARTH_BIN_DIR:-}" ]; then
  hearth=$HEARTH_BIN_DIR/runtime/vmm/hearth
else
  bazel build --config=release //runtime/vmm:hearth >&2
  hearth=$(bazel info --config=release bazel-bin 2>/dev/null)/runtime/vmm/hearth
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The emulator now and then breaks a host kernel that patches its own code (see the lab's host/hold-vm.c). Such a crash of
# the lab is told, and tried once more; what hearth does wrong is a FAIL of a test, and stays one.
failed=0
for attempt in first second; do
  failed=0
  tools/lab run --mem 3072 --timeout 1500 --guests --debian-guest --add "$hearth:hearth" \
    --add "$(command -v curl):curl" --add "$here/guests.sh:guests.sh" -- sh /hearth/guests.sh \
    >"$scratch/amd" 2>"$scratch/amd.err" || failed=$?
  [ "$failed" = 125 ] || break
  echo "the lab crashed in the $attempt attempt:"
  cat "$scratch/amd.err"
done
cat "$scratch/amd"
# The guest script's own status is 0 or 1; anything else is the lab's.
[ "$failed" -le 1 ] || echo "FAIL linux:amd-lab: the lab ended with status $failed"

kernel=$(guest-kernel-configs/build --variant noacpi --print-path)/vmlinux
initrd=$(integration-tests/lab/initrd mini --print-path)
cat >"$scratch/config.json" <<'TEXT'
{"boot-source": {"kernel_image_path": "/hearth/vmlinux", "initrd_path": "/hearth/initrd",
 "boot_args": "console=ttyS0 reboot=k panic=1 quiet hearth.exit=reboot"},
 "machine-config": {"vcpu_count": 1, "mem_size_mib": 128}}
TEXT
status=0
tools/lab run --cpu intel --timeout 400 --add "$hearth:hearth" --add "$kernel:vmlinux" --add "$initrd:initrd" \
  --add "$scratch/config.json:config.json" -- /hearth/hearth --no-api --config-file /hearth/config.json \
  >"$scratch/out" 2>&1 || status=$?
if [ "$status" = 0 ] && grep -q 'Hello from user space' "$scratch/out"; then
  echo "PASS linux:intel-lab"
else
  echo "FAIL linux:intel-lab: exit status $status"
  tail -n 15 "$scratch/out" | sed 's/^/  | /'
  failed=1
fi
exit "$failed"
