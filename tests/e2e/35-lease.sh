#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: whatever breaks during a freeze - host, helper, dead-man, channel, or
# time itself -, the guest writes again within lease + 1 s by its own clock,
# and no point claims a freeze that was not whole. HOLDSTILL_ROUNDS of each.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rounds=${HOLDSTILL_ROUNDS:-1}
lease=3
worst=0
worst_all=0
early=0
ends=0
early_ends=0
early_required=0

hs_guest --disk vda:64M:ext4
rig_guest_writer_start web

# The guest's longest time without a write since the freeze; or, where nobody
# is left who knows of the lease and init has to start a helper first, since
# it was frozen for $2 ms.
assert_wrote_on() {
	local gap most=$((lease * 1000 + 1000))

	[ -z "${2:-}" ] || most=$(($2 + most))
	assert_ok rig_guest_writes web /mnt/a $((most / 1000 + 1))
	gap=$(rig_guest_write_max_gap web /mnt/a reset)
	assert_num "$gap" -le "$most" "ms without a write: $1"
	if [ -n "${2:-}" ]; then
		[ $((gap - $2)) -le "$worst_all" ] || worst_all=$((gap - $2))
	elif [ "$gap" -gt "$worst" ]; then
		worst=$gap
	fi
}

# A backup that stands still in the freeze.
hold() {
	rig_guest_write_max_gap web /mnt/a reset >/dev/null
	hs_hold_frozen holdstill backup -v --lease "$lease" "$@" "$HS_DOM"
	before_picture=0
	rig_job_runs web || before_picture=1
	early=$((early + before_picture))
}

thawed() {
	rig_guest_exec web 'test ! -e /run/holdstill/frozen.*'
}

# It goes on, too late, and ends with this status.
let_go() {
	local status=0

	rig_wait_for 20 "the end of the freeze" thawed
	kill -CONT "$HS_PID"
	hs_wait || status=$?
	assert_eq "$1" "$status" \
	    "status of the backup, which said: $(tail -n 3 "$HS_STDERR")"
}

assert_crash() {
	local point

	let_go 3
	point=$(holdstill show --json "$HS_DOM@latest")
	assert_json "$point" \
	    ".consistency == \"crash\" and (.freeze.proved | not) and
	    (.consistency_reason | test(\"$1\"))"
}

# The helper's own process; its dead-man is the newest of its children.
helper_pid() {
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec web 'for p in $(pidof holdstill-guest); do
		[ "$(cut -d" " -f4 /proc/$p/stat)" != 1 ] || echo $p
	done'
}

kill_helper() {
	case $1 in
	helper) rig_guest_exec web "kill -KILL $(helper_pid)" ;;
	all)
		# shellcheck disable=SC2016 # expanded in the guest
		rig_guest_exec web '
			set -- $(rig_tool gap /run/rig/writer_mnt_a)
			echo "$2" >/run/rig/before
			killall -q -KILL holdstill-guest
			true'
		;;
	dead-man)
		# The one that has a real-time thread for each file system.
		# shellcheck disable=SC2016 # expanded in the guest
		rig_guest_exec web 'for p in $(pidof holdstill-guest); do
			n=$(ls /proc/$p/task | wc -l)
			[ "$n" -lt 2 ] || kill -KILL $p
		done'
		;;
	esac
}

channel_xml() {
	virsh -q dumpxml "$HS_DOM" | python3 -c '
import sys, xml.etree.ElementTree as tree
for c in tree.parse(sys.stdin).iterfind("devices/channel"):
    if c.find("target").get("name") == "org.holdstill.guest.0":
        print(tree.tostring(c, encoding="unicode"))' >"$RIG_DIR/channel.xml"
}

unplug() {
	channel_xml
	assert_ok virsh -q detach-device "$HS_DOM" "$RIG_DIR/channel.xml"
}

plug_in() {
	assert_ok virsh -q attach-device "$HS_DOM" "$RIG_DIR/channel.xml"
	# Without udev the test makes the link.
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec web 'for p in /sys/class/virtio-ports/*; do
		[ "$(cat $p/name)" != org.holdstill.guest.0 ] ||
		    ln -sf "../${p##*/}" /dev/virtio-ports/org.holdstill.guest.0
	done'
	hs_helper_wait web
}

# ---- the lease ends before the picture ----

lease_ends() {
	hold
	ends=$((ends + 1))
	early_ends=$((early_ends + before_picture))
	assert_wrote_on "lease"
	assert_crash "outlived its lease"
}

# What is required and not reached leaves nothing.
lease_ends_required() {
	local points
	points=$(hs_count web)

	hold --require filesystem
	ends=$((ends + 1))
	early_required=$((early_required + before_picture))
	assert_wrote_on "lease, required"
	let_go 1
	grep -q "outlived its lease" "$HS_STDERR" ||
	    fail "no word of the lease: $(cat "$HS_STDERR")"
	assert_eq "$points" "$(hs_count web)" points
}

# ---- somebody dies ----

host_killed() {
	hold
	kill -9 "$HS_PID"
	hs_wait || true
	assert_wrote_on "host killed"
	assert_ok holdstill recover
}

killed() {
	local before=

	hold
	kill_helper "$1"
	# The next helper thaws, as soon as init has started it.
	[ "$1" != all ] || before=$(rig_guest_exec web 'cat /run/rig/before')
	assert_wrote_on "$1 killed" "$before"
	assert_crash "proof|broken|killed|lease|closed|session"
	hs_helper_wait web
}

unplugged() {
	hold
	unplug
	assert_wrote_on "channel unplugged"
	assert_crash "proof|closed|lease"
	plug_in
}

# One that is whole, between them: nothing of the last round is left.
assert_whole() {
	hs_make 0 "" --require filesystem
	hs_assert_clean "$HS_POINT"
}

hs_make 0 ""
for ((round = 0; round < rounds; round++)); do
	lease_ends
	lease_ends_required
	host_killed
	killed helper
	killed dead-man
	killed all
	unplugged
	assert_whole
done
# What a lease that ends before the picture does is looked at, too: a picture
# is quick, and a busy machine may miss that instant in every round.
for ((try = 0; try < 12; try++)); do
	[ "$early_ends" = 0 ] || break
	lease_ends
done
for ((try = 0; try < 12; try++)); do
	[ "$early_required" = 0 ] || break
	lease_ends_required
done
assert_num "$early_ends" -gt 0 "leases that ended before the picture"
assert_num "$early_required" -gt 0 "the same where a freeze is required"
assert_whole
echo "count: lease ended $ends"
echo "count: host killed $rounds"
echo "count: helper, dead-man, both killed $((3 * rounds))"
echo "count: channel unplugged $rounds"
echo "count: longest time without a write $worst ms, lease $lease s"
echo "count: both killed: longest time from there $worst_all ms"
echo "count: held before the picture $early of $((ends + 5 * rounds))," \
    "when the lease ended $early_ends, when required $early_required"
