#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The virtio devices under Linux guests, in one boot of the AMD lab: block, net and balloon, each in a script of its own
# (README.md). Prints a PASS or FAIL line a test.
#
# usage: integration-tests/virtio/virtio_test.sh [PART...]
#   PART: block, net or balloon (default: all)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"
tools/install-deps lab >&2
if [ -n "${HEARTH_BIN_DIR:-}" ]; then
  hearth=$HEARTH_BIN_DIR/runtime/vmm/hearth
else
  bazel build --config=release //runtime/vmm:hearth >&2
  hearth=$(bazel info --config=release bazel-bin 2>/dev/null)/runtime/vmm/hearth
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

adds=(--add "$hearth:hearth" --add "$here:virtio")
# What the host in the lab, and through its root image the guests, call.
for program in curl e2fsck mke2fs debugfs blkdiscard fio iperf3 passt jq; do
  path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$program") || { echo "FAIL virtio:setup: no $program"; exit 1; }
  adds+=(--add "$path:$program")
done

# Debian's kernel has the drivers as modules; the guests load them in this order.
modules=$(guest-kernel-configs/debian-kernel --print-path)/modules
order=0
for module in virtio_ring virtio virtio_mmio virtio_blk failover net_failover virtio_net virtio_balloon squashfs; do
  path=$(find "$modules" -name "$module.ko")
  [ -n "$path" ] || { echo "FAIL virtio:setup: Debian's kernel has no $module.ko"; exit 1; }
  order=$((order + 1))
  adds+=(--add "$path:modules/$order-$module.ko")
done

# As in integration-tests/linux: a crash of the emulated host is told, and tried once more.
status=0
for attempt in first second; do
  status=0
  tools/lab run --mem 3072 --timeout "${VIRTIO_TEST_LIMIT_S:-1500}" --guests --debian-guest "${adds[@]}" \
    -- env HEARTH_LAB_ALL="${HEARTH_LAB_ALL:-}" sh /hearth/virtio/run.sh "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [ "$status" = 125 ] || break
  echo "the lab crashed in the $attempt attempt:"
  cat "$scratch/err"
done
cat "$scratch/out"
[ "$status" -le 1 ] || { echo "FAIL virtio:lab: the lab ended with status $status"; cat "$scratch/err"; }
exit "$status"
