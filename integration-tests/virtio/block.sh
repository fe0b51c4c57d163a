# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Drives under Linux: file systems, engines, a power cut, discard, another file, limits. Sourced by run.sh.
# shellcheck disable=SC2034  # arguments and vcpus are for start()
# shellcheck disable=SC2154  # lib.sh sets tools_drive

# Busybox's shell prefers its own applets to what PATH has.
mke2fs() { /hearth/mke2fs "$@"; }

# The images are on ext4, so that O_DIRECT and holes are what they are on a real host.
mke2fs -q -t ext4 -F store.img 256M && mkdir -p store && mount -o loop store.img store && cd store || exit 2

# drive ID PATH [MORE]: of a configuration.
drive() {
  echo "{\"drive_id\": \"$1\", \"path_on_host\": \"$2\", \"is_root_device\": ${root:-false}${3:+, $3}}"
}
# metric VM NAME: of all drives, summed over the lines of VM.metrics.
metric() { jq -s "[.[].block.$2 // 0] | add" "$1.metrics"; }
allocated_kib() { du -k "$1" | cut -f1; }
random() { head -c "$2" /dev/urandom >"$1"; }

# A file system made here, written to there, checked here; by each engine.
for engine in Async Sync; do
  test=ext4-$engine
  rm -rf seed && mkdir seed && random seed/from-host 300000
  truncate -s 24M "$test.img" && mke2fs -q -t ext4 -F -d seed "$test.img"
  make_initrd "$test" <<'SCRIPT'
mkdir /mnt/disk && mount -t ext4 /dev/vda /mnt/disk && cp /mnt/disk/from-host /mnt/disk/copy &&
mkdir /mnt/disk/many && for i in $(seq 50); do echo "file $i" >"/mnt/disk/many/$i"; done && rm /mnt/disk/many/1* && sync &&
umount /mnt/disk
SCRIPT
  start "$test" "\"drives\": [$(drive disk "$test.img" "\"io_engine\": \"$engine\"")]"
  check "$test-guest-writes" "the guest's script failed" "$test" -- ended "$test"
  check "$test-e2fsck" "the file system is damaged: $(cat "$test.fsck" 2>/dev/null)" -- e2fsck -fn "$test.img"
  debugfs -R "dump /copy $test.copy" "$test.img" 2>/dev/null
  check "$test-content" "the guest's copy differs" -- cmp seed/from-host "$test.copy"
  rm -f "$test.img"
done

# Root by drive, and by PARTUUID on the command line.
# shellcheck disable=SC2016  # the guest's shell is to expand it
rm -rf seed && mkdir seed && (cd seed && cpio -id --quiet </hearth/initrds/busybox.cpio; mkdir -p sbin dev proc; rm -f sbin/init init
  printf '#!/bin/sh\nmount -t proc proc /proc\ncat /proc/cmdline\necho "root: $(grep -c " / ext4 rw" /proc/mounts)"\nsync\nreboot -f\n' >sbin/init; chmod 755 sbin/init)
truncate -s 24M root.img && mke2fs -q -t ext4 -F -d seed root.img
cat >root.json <<TEXT
{"boot-source": {"kernel_image_path": "/hearth/kernels/acpi/vmlinux", "boot_args": "console=ttyS0 reboot=k panic=1 quiet"},
 "machine-config": {"vcpu_count": 1, "mem_size_mib": 128},
 "drives": [$(drive other /hearth/initrds/busybox.cpio '"is_read_only": true'), $(root=true drive rootfs root.img)]}
TEXT
/hearth/hearth --no-api --config-file root.json </dev/null >root.out 2>&1
check root-by-drive "the guest did not boot from its drive" root -- grep -q '^root: 1' root.out
check root-is-on-the-command-line "$(grep console= root.out)" root -- grep -q 'root=/dev/vda rw' root.out
rm -f root.img

# The rest takes long in an emulated guest, and is for who asks.
if [ -z "${HEARTH_LAB_ALL:-}" ]; then
  skip long "HEARTH_LAB_ALL is not set: fio, power cut, discard, another file, limits"
  cd .. && umount store
  return
fi

# Data of the guest's own making, in every way there is.
truncate -s 16M verify.img
for engine in Async Sync; do
  for direct in false true; do
    test=verify-$engine-$([ $direct = true ] && echo direct || echo buffered)
    make_initrd "$test" <<'SCRIPT'
tools fio --name=verify --filename=/dev/vda --rw=randrw --bsrange=4k-32k --size=4M --direct=1 --ioengine=psync --thread \
  --numjobs=2 --offset_increment=6M --verify=crc32c --verify_fatal=1 --fsync=64 --randseed=7 --output-format=terse >/dev/null
SCRIPT
    vcpus=2
    start "$test" "\"drives\": [$(drive disk verify.img "\"io_engine\": \"$engine\", \"direct\": $direct, \"queues\": 2"), $tools_drive]"
    vcpus=1
    check "$test" "fio found what it had not written, or failed" "$test" -- ended "$test" 300
  done
done
rm -f verify.img

# What the guest was told is on the disk is there, whenever the VMM dies.
truncate -s 1M cut.img
make_initrd cut <<'SCRIPT'
for i in $(seq 2000); do
  printf 'block %06d' "$i" | dd of=/dev/vda bs=512 seek="$i" conv=sync,notrunc,fsync 2>/dev/null && echo "acked $i"
done
SCRIPT
for cut in 20 45; do
  start cut "\"drives\": [$(drive disk cut.img)]"
  if check "cut-$cut-writes" "the guest writes nothing" cut -- said cut "^acked $cut" 120; then
    kill -9 "$(cat cut.pid)"
    wait "$(cat cut.pid)" 2>/dev/null
    missing='' last=$(grep -o '^acked [0-9]*' cut.out | tail -1 | cut -d' ' -f2)
    for i in $(seq "$last"); do
      [ "$(dd if=cut.img bs=512 skip="$i" count=1 2>/dev/null | head -c 12)" = "$(printf 'block %06d' "$i")" ] || missing="$missing $i"
    done
    check "cut-$cut-loses-nothing" "acknowledged and lost:$missing" -- [ -z "$missing" ]
    echo "virtio:block-cut: killed after $last acknowledged writes" >&2
  fi
done

# Discard gives blocks back to the host; what is zeroed reads zero.
for engine in Async Sync; do
  test=discard-$engine
  random "$test.img" 8388608 && sync
  before=$(allocated_kib "$test.img")
  make_initrd "$test" <<'SCRIPT'
tools blkdiscard -o 1M -l 4M /dev/vda && tools blkdiscard -z -o 6M -l 1M /dev/vda
SCRIPT
  start "$test" "\"drives\": [$(drive disk "$test.img" "\"io_engine\": \"$engine\""), $tools_drive]"
  check "$test-guest" "the guest's script failed" "$test" -- ended "$test"
  check "$test-frees-blocks" "$before KiB before, $(allocated_kib "$test.img") after" -- \
    [ "$(allocated_kib "$test.img")" -le $((before - 4096)) ]
  check "$test-zeroes" "the zeroed MiB is not zero" -- \
    [ "$(dd if="$test.img" bs=1M skip=6 count=1 2>/dev/null | tr -d '\000' | wc -c)" = 0 ]
  echo "virtio:block-$test: $before KiB allocated before, $(allocated_kib "$test.img") after" >&2
  rm -f "$test.img"
done

# Another size, and another file, while the guest runs.
random first.img 1048576
random second.img 3145728
make_initrd change <<'SCRIPT'
echo "sectors $(cat /sys/block/vda/size)"
until [ "$(cat /sys/block/vda/size)" = 4096 ]; do sleep 0.1; done
printf 'at the new end' | dd of=/dev/vda bs=512 seek=4095 conv=sync,notrunc,fsync 2>/dev/null
echo "grown"
until [ "$(cat /sys/block/vda/size)" = 6144 ]; do sleep 0.1; done
echo 3 >/proc/sys/vm/drop_caches
echo "md5 $(md5sum </dev/vda)"
SCRIPT
start change "\"drives\": [$(drive disk first.img)]"
check change-boots "no drive, or no guest" change -- said change '^sectors 2048'
truncate -s 2M first.img
check change-size "$(cat change.answer 2>/dev/null)" -- api change PATCH /drives/disk '{"path_on_host": "first.img"}'
check change-size-seen "the guest still has the old size" change -- said change '^grown'
check change-size-used "the new end was not written" -- \
  [ "$(dd if=first.img bs=512 skip=4095 count=1 2>/dev/null | head -c 14)" = 'at the new end' ]
if api change PATCH /drives/disk '{"path_on_host": "/nowhere"}' >/dev/null; then
  fail change-refuses "a missing file was accepted"
else
  check change-refuses "$(cat change.answer)" -- grep -q 'drives disk: path_on_host: open /nowhere: No such file' change.answer
fi
check change-file "$(cat change.answer)" -- api change PATCH /drives/disk '{"path_on_host": "second.img"}'
check change-ends "the guest's script failed" change -- ended change
check change-file-seen "the guest does not read the second file" change -- grep -q "^md5 $(md5sum <second.img)" change.out

# Limits: counted, not timed; the least time is certain.
truncate -s 1M limit.img
make_initrd limit <<'SCRIPT'
from=$(cut -d. -f1 /proc/uptime)
tools fio --name=limit --filename=/dev/vda --rw=read --bs=4k --size=240k --direct=1 --ioengine=psync --thread \
  --output-format=terse >/dev/null || exit 1
echo "seconds $(($(cut -d. -f1 /proc/uptime) - from))"
SCRIPT
start limit "\"metrics\": {\"metrics_path\": \"limit.metrics\"}, \"drives\": [$(drive disk limit.img \
  '"rate_limiter": {"ops": {"size": 10, "refill_time": 1000}}'), $tools_drive]"
check limit-ends "the guest's script failed" limit -- ended limit
# 50 more than the bucket holds: 5 seconds, which the guest may count as 4.
check limit-holds "$(grep seconds limit.out)" limit -- [ "$(grep -o '^seconds [0-9]*' limit.out | cut -d' ' -f2)" -ge 4 ]
check limit-is-counted "$(metric limit rate_limiter_throttled_events) events" -- [ "$(metric limit rate_limiter_throttled_events)" -ge 10 ]

cd .. && umount store
