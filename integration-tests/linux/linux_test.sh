#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Linux guests under hearth in the AMD lab, in one boot of it: our kernels and Debian's, as vmlinux and as bzImage, by
# both boot protocols, with 1, 2 and 4 vCPUs, to user space and to their end; the console's input; the REST API on a
# running Linux. Each prints PASS or FAIL.
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
status=0
tools/lab run --mem 3072 --timeout 1500 --guests --debian-guest --add "$hearth:hearth" --add "$(command -v curl):curl" \
  --add "$here/guests.sh:guests.sh" -- sh /hearth/guests.sh || status=$?
# The guest script's own status is 0 or 1; anything else is the lab's.
if [ "$status" -gt 1 ]; then
  echo "FAIL linux: the lab ended with status $status"
fi
exit "$status"
