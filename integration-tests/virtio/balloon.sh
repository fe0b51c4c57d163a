# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# The balloon under Linux: what the guest gives up leaves the host's memory, and the guest stays healthy. Sourced by run.sh.
#
# A guest that has to wait for the host waits for a change of its MemTotal, which a balloon of another size makes.
# shellcheck disable=SC2034  # memory, kernel and machine are for start()
# shellcheck disable=SC2154  # the lab's functions set failed

memory=224
# shellcheck disable=SC2016  # the guest is to expand it
# In each guest. fill: uses 110 MiB with a known content, so that the host has to have them.
guest_functions='
mount -o remount,size=95% /tmp
total() { awk "/^MemTotal:/ { print \$2 }" /proc/meminfo; }
changed() { for i in $(seq 900); do [ "$(total)" = "$1" ] || return 0; sleep 0.2; done; return 1; }
restored() { for i in $(seq 900); do [ "$(total)" != "$1" ] || return 0; sleep 0.2; done; return 1; }
dd if=/dev/zero bs=1M count=1 2>/dev/null | tr "\000" "\252" >/pattern
fill() { for i in $(seq 110); do cat /pattern || return 1; done >/tmp/big; }
healthy() { fill && md5sum /tmp/big | grep -q b5da007ca8d7828895384a7813dc8ff7; }
before=$(total)
'

# until_true SECONDS COMMAND...: waits until the command succeeds.
until_true() {
  until_tries=$(($1 * 5))
  shift
  for _ in $(seq $until_tries); do
    "$@" && return 0
    sleep 0.2
  done
  "$@"
}
# statistics VM JQ: does the expression hold?
statistics() { api "$1" GET /balloon/statistics >/dev/null && jq -e "$2" "$1.answer" >/dev/null; }
amount() { api "$1" PATCH /balloon "{\"amount_mib\": $2}" >/dev/null; }
rss_below() { [ "$(rss_kib "$1")" -lt "$2" ]; }
# What the VM's huge pages hold, in KiB.
huge_kib() { awk '/_Hugetlb:/ { sum += $2 } END { print sum + 0 }' "/proc/$(cat "$1.pid")/smaps_rollup"; }
huge_below() { [ "$(huge_kib "$1")" -lt "$2" ]; }

balloon() {
  echo "\"balloon\": {\"amount_mib\": ${amount:-0}, \"deflate_on_oom\": ${oom:-false}, \"stats_polling_interval_s\": 1, \"free_page_reporting\": ${reporting:-false}, \"free_page_hinting\": ${hinting:-false}}"
}

# down_and_up TEST STATISTICS: inflates, deflates, and lets the guest use everything again. The guest sends STATISTICS.
down_and_up() {
  make_initrd "$1" <<SCRIPT
$guest_functions
fill; rm /tmp/big
echo filled
changed "\$before" && restored "\$before" && healthy
SCRIPT
  start "$1" "$(balloon)"
  check "$1-boots" "no balloon, or no guest" "$1" -- said "$1" '^filled' 240 || return
  full=$(rss_kib "$1")
  check "$1-statistics" "$(cat "$1.answer" 2>/dev/null)" "$1" -- until_true 30 statistics "$1" \
    ".free_memory > 1000000 and .total_memory > .free_memory and .available_memory > 0 and .actual_mib == 0 and $2"
  api "$1" PATCH /vm '{"state": "Paused"}' >/dev/null
  amount "$1" 120
  api "$1" PATCH /vm '{"state": "Resumed"}' >/dev/null
  check "$1-inflates" "$(cat "$1.answer")" "$1" -- until_true 120 statistics "$1" '.actual_mib == 120 and .target_mib == 120'
  check "$1-gives-memory-back" "the host had $full KiB, now $(rss_kib "$1")" -- rss_below "$1" $((full - 50000))
  echo "virtio:balloon-$1: the host's memory in KiB: $full filled, $(rss_kib "$1") with a balloon of 120 MiB" >&2
  amount "$1" 0
  check "$1-deflates" "$(cat "$1.answer")" "$1" -- until_true 120 statistics "$1" '.actual_mib == 0'
  check "$1-guest-is-healthy" "the guest's files are not what it wrote, or it died" "$1" -- ended "$1" 240
}
faults='.minor_faults > 0 and .major_faults >= 0 and .swap_in == 0 and .swap_out == 0'
down_and_up acpi "$faults"

# Out of memory: the balloon gives way, and nothing is killed.
make_initrd oom <<SCRIPT
$guest_functions
for i in \$(seq 900); do free=\$(awk '/^MemFree:/ { print \$2 }' /proc/meminfo); [ "\$free" -gt 50000 ] || break; sleep 0.2; done
echo inflated
dd if=/dev/zero of=/tmp/big bs=1M count=90 2>/dev/null && [ "\$(wc -c </tmp/big)" = 94371840 ] && ! dmesg | grep -i 'killed process'
SCRIPT
oom=true amount=160
start oom "$(balloon)"
oom=false amount=0
check oom-inflates "no balloon, or no guest" oom -- said oom '^inflated' 240
check oom-deflates-by-itself "the guest was killed for memory" oom -- ended oom 240

# Reporting: what the guest frees comes back without being asked for. Linux reports free blocks of 2 MiB and more, so of 110 MiB
# that were freed some stays.
reports() {
  make_initrd "$1" <<SCRIPT
$guest_functions
fill; echo filled
changed "\$before" && rm /tmp/big && before=\$(total) && changed "\$before" && healthy
SCRIPT
  reporting=true
  start "$1" "$(balloon)"
  reporting=false
  check "$1-boots" "no balloon, or no guest" "$1" -- said "$1" '^filled' 240 || return
  full=$("${2}_kib" "$1")
  amount "$1" 1
  check "$1-gives-memory-back" "the host had $full KiB, and after the guest's rm it still has that" "$1" \
    -- until_true 90 "${2}_below" "$1" $((full - 50000))
  echo "virtio:balloon-$1: the host's memory in KiB: $full filled, $("${2}_kib" "$1") after the guest's rm" >&2
  amount "$1" 2
  check "$1-guest-is-healthy" "the guest's files are not what it wrote, or it died" "$1" -- ended "$1" 240
}
reports reporting rss
machine='"huge_pages": "Transparent"'
reports transparent rss
if echo $((memory / 2 + 8)) >/proc/sys/vm/nr_hugepages && [ "$(cat /proc/sys/vm/nr_hugepages)" -ge $((memory / 2)) ]; then
  machine='"huge_pages": "2M"'
  reports hugetlb huge

  # The balloon's own pages are 4 KiB; large ones go back when they are all in it.
  make_initrd huge-balloon <<SCRIPT
$guest_functions
fill; rm /tmp/big
echo filled
changed "\$before" && restored "\$before" && healthy
SCRIPT
  start huge-balloon "$(balloon)"
  if check huge-balloon-boots "no balloon, or no guest" huge-balloon -- said huge-balloon '^filled' 240; then
    full=$(huge_kib huge-balloon)
    amount huge-balloon 120
    check huge-balloon-inflates "$(cat huge-balloon.answer)" huge-balloon -- until_true 120 statistics huge-balloon '.actual_mib == 120'
    check huge-balloon-gives-memory-back "the host had $full KiB, now $(huge_kib huge-balloon)" -- huge_below huge-balloon $((full - 50000))
    echo "virtio:balloon-huge-balloon: the host's memory in KiB: $full filled, $(huge_kib huge-balloon) with a balloon of 120 MiB" >&2
    amount huge-balloon 0
    check huge-balloon-guest-is-healthy "the guest's files are not what it wrote, or it died" huge-balloon -- ended huge-balloon 240
  fi
  echo 0 >/proc/sys/vm/nr_hugepages
else
  skip hugetlb "the lab's host has no room for huge pages"
fi
machine=

# Hinting: one run, when the host asks for it. Linux hints free blocks of 4 MiB only, so what lies between stays.
make_initrd hinting <<SCRIPT
$guest_functions
fill; rm /tmp/big
echo freed
changed "\$before" && healthy
SCRIPT
hinting=true
start hinting "$(balloon)"
hinting=false
if check hinting-boots "no balloon, or no guest" hinting -- said hinting '^freed' 240; then
  full=$(rss_kib hinting)
  check hinting-starts "$(cat hinting.answer 2>/dev/null)" hinting -- api hinting PATCH /balloon/hinting/start
  hinted() { api hinting GET /balloon/hinting/status >/dev/null && jq -e '.host_cmd == 1 and .guest_cmd == 0' hinting.answer >/dev/null; }
  check hinting-ends "$(cat hinting.answer)" hinting -- until_true 60 hinted
  check hinting-gives-memory-back "the host had $full KiB, now $(rss_kib hinting)" -- rss_below hinting $((full - 30000))
  echo "virtio:balloon-hinting: the host's memory in KiB: $full before, $(rss_kib hinting) after the run" >&2
  amount hinting 1
  check hinting-guest-is-healthy "the guest's files are not what it wrote, or it died" hinting -- ended hinting 240
fi

kernel=debian
down_and_up debian "$faults"
