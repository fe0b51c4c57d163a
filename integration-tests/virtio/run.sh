#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The part of virtio_test.sh that runs in the lab, as root: the scripts of the devices, one after the other.
cd /tmp || exit 2
export PATH="$PATH:/hearth"
[ $# -gt 0 ] || set -- block net balloon
status=0
for part; do
  mkdir -p "/tmp/$part" && cd "/tmp/$part" || exit 2
  # shellcheck source=/dev/null
  # shellcheck disable=SC2154  # lib.sh sets it
  ( . /hearth/virtio/lib.sh; . "/hearth/virtio/$part.sh"; exit "$failed" ) || { status=$?; [ $status = 1 ] || echo "FAIL virtio:$part: its script ended with status $status"; status=1; }
  cd /tmp && rm -rf "/tmp/$part"
done
exit $status
