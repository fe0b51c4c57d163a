# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Network interfaces under Linux: packets cross a TAP with and without offloads, by several queues, and over passt; limits
# hold, a link goes and comes, and a guest that floods does not silence another one. Sourced by run.sh.
#
# Each guest is 10.0.N.2 on a tap of its own, whose host side is 10.0.N.1. Guests tell what they did on their console.
# shellcheck disable=SC2034  # variables for start()
# shellcheck disable=SC2154  # the lab's functions set them

memory=128
ip link set lo up
iperf3 -s >iperf3.log 2>&1 &
iperf3=$!

# In each guest: a network, and what is asked about it. feature N: was the bit negotiated?
# shellcheck disable=SC2016  # the guest is to expand it
guest_functions='
card() { ip link set lo up; ip addr add "$1/24" dev eth0 && ip link set eth0 up; }
reach() { for i in $(seq 300); do ping -c 1 -W 1 "$1" >/dev/null 2>&1 && return 0; done; return 1; }
feature() { [ "$(cut -c$(($1 + 1)) /sys/class/net/eth0/device/features)" = 1 ]; }
carrier() { for i in $(seq 600); do [ "$(cat /sys/class/net/eth0/carrier)" = "$1" ] && return 0; sleep 0.2; done; return 1; }
'

# host_side N: gives the tap of guest N, which hearth makes, the host's address.
host_side() {
  for _ in $(seq 300); do
    ip addr add "10.0.$1.1/24" dev "tap$1" 2>/dev/null && break
    sleep 0.2
  done
  ip link set "tap$1" up
}

# interface N [FIELDS]: the configuration of guest N.
interface() {
  echo "\"network-interfaces\": [{\"iface_id\": \"eth0\", \"guest_mac\": \"06:00:0a:00:0$1:02\", ${2:-\"host_dev_name\": \"tap$1\"}}], \"drives\": [$tools_drive]"
}

# moves TEST N FIELDS CHECK...: ping, and iperf3 in both directions; CHECK is of the guest's shell.
moves() {
  moves_test=$1 moves_n=$2 moves_fields=$3
  shift 3
  make_initrd "$moves_test" <<SCRIPT
$guest_functions
card 10.0.$moves_n.2; reach 10.0.$moves_n.1 || exit 1
ping -c 20 -i 0.1 -q 10.0.$moves_n.1 | grep -q ' 0% packet loss' || exit 2
{ $*; } || exit 3
tools iperf3 -c 10.0.$moves_n.1 -n 8M -P ${streams:-1} >/tmp/out || { cat /tmp/out; exit 4; }
tools iperf3 -c 10.0.$moves_n.1 -n 8M -P ${streams:-1} -R >/tmp/in || { cat /tmp/in; exit 5; }
grep -h receiver /tmp/out /tmp/in
SCRIPT
  start "$moves_test" "$(interface "$moves_n" "\"host_dev_name\": \"tap$moves_n\"$moves_fields")"
  host_side "$moves_n"
  check "$moves_test" "$(grep -h '^script:\|iperf3:' "$moves_test.out")" "$moves_test" -- ended "$moves_test" 400
  grep receiver "$moves_test.out" | sed "s/^/virtio:net-$moves_test: /" >&2
}

moves offloads 1 '' 'feature 0 && feature 1 && feature 7 && feature 11 && feature 15'
moves no-offloads 2 ', "offloads": false' '! feature 0 && ! feature 1 && ! feature 7 && ! feature 11'
vcpus=2 streams=2
moves two-queues 3 ', "queue_pairs": 2' '[ -d /sys/class/net/eth0/queues/rx-1 ] && feature 22'
vcpus=1 streams=1
kernel=debian
# shellcheck disable=SC2016  # the guest is to expand it
moves debian 4 ', "mtu": 1400' '[ "$(cat /sys/class/net/eth0/mtu)" = 1400 ]'
kernel=acpi

# The limiter: 300 KB with a bucket of 50 KB at 50 KB/s take 5 seconds at least, whatever the host's speed. The guest is
# done when the host has all of it.
make_initrd limited <<SCRIPT
$guest_functions
card 10.0.5.2; reach 10.0.5.1 || exit 1
begin=\$(cut -d. -f1 /proc/uptime)
head -c 300000 /dev/zero | nc 10.0.5.1 5005 || exit 2
took=\$((\$(cut -d. -f1 /proc/uptime) - begin))
echo "took \$took seconds"
[ "\$took" -ge 4 ]
SCRIPT
# Its input stays open: busybox's nc ends with it.
sleep 3600 | nc -l -p 5005 >limited.data &
start limited "$(interface 5 '"host_dev_name": "tap5", "tx_rate_limiter": {"bandwidth": {"size": 50000, "refill_time": 1000}}')"
host_side 5
check limiter "$(grep '^took' limited.out)" limited -- ended limited 300
check limiter-loses-nothing "the host got $(wc -c <limited.data) bytes of 300000" -- [ "$(wc -c <limited.data)" = 300000 ]

# The link, and limits that change while the guest runs.
make_initrd link <<SCRIPT
$guest_functions
card 10.0.6.2; reach 10.0.6.1 || exit 1
echo plugged; carrier 0 || exit 2
echo unplugged; carrier 1 || exit 3
reach 10.0.6.1
SCRIPT
start link "$(interface 6)"
host_side 6
check link-up "the guest does not reach the host" link -- said link '^plugged' 240
check limits-change "$(cat link.answer 2>/dev/null)" -- api link PATCH /network-interfaces/eth0 \
  '{"iface_id": "eth0", "rx_rate_limiter": {"ops": {"size": 1000, "refill_time": 1000}}}'
api link PATCH /network-interfaces/eth0 '{"iface_id": "eth0", "link_up": false}' >/dev/null
check link-down "the guest still has its carrier" link -- said link '^unplugged' 120
api link PATCH /network-interfaces/eth0 '{"iface_id": "eth0", "link_up": true}' >/dev/null
check link-up-again "the guest has no carrier, or does not reach the host" link -- ended link 240

# A guest that sends as fast as it can, and another one that pings.
make_initrd flood <<SCRIPT
$guest_functions
card 10.0.7.2; reach 10.0.7.1 || exit 1
echo flooding
for i in \$(seq 8); do { while [ ! -e /tmp/end ]; do dd if=/dev/zero bs=64 count=20000 2>/dev/null | nc -u -w 1 10.0.7.1 9; done; } & done
sleep 3600
SCRIPT
make_initrd quiet <<SCRIPT
$guest_functions
card 10.0.8.2; reach 10.0.8.1 || exit 1
echo ready
ping -c 50 -i 0.2 -q 10.0.8.1 | tee /dev/ttyS0 | grep -q ' 0% packet loss'
SCRIPT
start flood "$(interface 7)"
host_side 7
check flood-begins "the guest does not flood" flood -- said flood '^flooding' 240
start quiet "$(interface 8)"
host_side 8
check flood-of-another "$(grep loss quiet.out)" quiet -- ended quiet 400
alive() { api "$1" GET / >/dev/null; }
check flood-is-survived "the VMM of the flooding guest is gone" flood -- alive flood
kill -9 "$(cat flood.pid)"
wait "$(cat flood.pid)" 2>/dev/null

# passt: the guest gets its address from it, and reaches the host's loopback by the gateway's.
tunctl -t up0 >/dev/null
ip addr add 192.0.2.2/24 dev up0
ip link set up0 up
ip route add default via 192.0.2.1 dev up0
chmod 777 .
passt -f -e --socket "$PWD/stream" -i up0 -a 192.0.2.2 -n 24 -g 192.0.2.1 --no-dhcpv6 --no-ra >stream.log 2>&1 &
passt=$!
for _ in $(seq 100); do
  if [ -S stream ] || ! kill -0 $passt 2>/dev/null; then break; fi
  sleep 0.2
done
if [ -S stream ]; then
  make_initrd rootless <<SCRIPT
$guest_functions
ip link set eth0 up
ip addr add 192.0.2.2/24 dev eth0; ip route add default via 192.0.2.1
for i in \$(seq 30); do tools iperf3 -c 192.0.2.1 -n 1M >/tmp/out 2>&1 && break; sleep 1; done
tools iperf3 -c 192.0.2.1 -n 2M >/tmp/out && tools iperf3 -c 192.0.2.1 -n 2M -R >/tmp/in || { cat /tmp/out /tmp/in; exit 2; }
grep -h receiver /tmp/out /tmp/in
echo moved
carrier 0
SCRIPT
  start rootless "$(interface 9 "\"socket\": \"$PWD/stream\"")"
  check passt "$(tail -n 3 stream.log)" rootless -- said rootless '^moved' 300
  grep receiver rootless.out | sed 's/^/virtio:net-passt: /' >&2
  kill $passt
  check passt-goes "the guest keeps its carrier" rootless -- ended rootless 120
else
  skip passt "passt does not start: $(tail -n 1 stream.log)"
fi
kill $iperf3
