#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a file system on a loop file of another one is thawed by whoever thaws
# in the dead-man's place, though its thaw has to wait for that of the other:
# the guest writes again within lease + 1 s of both, without the time that its
# init takes to start the helper again. HOLDSTILL_ROUNDS of each.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rounds=${HOLDSTILL_ROUNDS:-1}
lease=3

hs_guest --disk vda:64M:ext4 --disk vdb:16M:ext4
rig_guest_exec web '
	set -e
	modprobe loop
	umount /mnt/b
	dd if=/dev/vdb of=/mnt/a/b.img bs=1M 2>/dev/null
	losetup /dev/loop0 /mnt/a/b.img
	mount -t ext4 /dev/loop0 /mnt/b'
rig_guest_writer_start web

# Milliseconds that the guest had no helper in since $1, seconds of its uptime.
no_helper_ms() {
	rig_guest_exec web 'tail -n 1 /run/rig/helper.starts' |
	    awk -v when="$1" '{ print ($1 > when ? int(($1 - when) * 1000) : 0) }'
}

# What $1 names is killed in the freeze; the writers stood still since then
# for a lease and 1 s at most.
killed() {
	local dir gap status=0 most=$((lease * 1000 + 1000))
	local when idle
	local -A before

	for dir in /mnt/a /mnt/b; do
		rig_guest_write_max_gap web "$dir" reset >/dev/null
	done
	hs_hold_frozen holdstill backup -v --lease "$lease" "$HS_DOM"
	for dir in /mnt/a /mnt/b; do
		before[$dir]=$(rig_guest_write_gap web "$dir")
	done
	when=$(rig_guest_exec web "cut -d' ' -f1 /proc/uptime; $2")
	for dir in /mnt/a /mnt/b; do
		assert_ok rig_guest_writes web "$dir" $((most / 1000 + 1))
		gap=$(rig_guest_write_max_gap web "$dir" reset)
		idle=$(no_helper_ms "$when")
		assert_num "$gap" -le $((before[$dir] + idle + most)) \
		    "ms without a write in $dir: $1 killed"
		echo "$1 killed: $((gap - before[$dir])) ms in $dir," \
		    "$idle ms without a helper"
	done
	kill -CONT "$HS_PID"
	hs_wait || status=$?
	assert_eq 3 "$status" "status of the backup"
	hs_helper_wait web
	rig_guest_exec web 'test ! -e /run/holdstill/frozen.*' ||
	    fail "a record is left"
}

# The one that has a thread for each file system.
# shellcheck disable=SC2016 # expanded in the guest
deadman='for p in $(pidof holdstill-guest); do
	n=$(ls /proc/$p/task | wc -l)
	[ "$n" -lt 2 ] || kill -KILL $p
done'

hs_make 0 ""
for ((round = 0; round < rounds; round++)); do
	killed dead-man "$deadman"
	# Stopped first, so that neither sees the other die.
	killed both '
		killall -STOP holdstill-guest
		killall -KILL holdstill-guest'
	hs_make 0 "" --require filesystem
done
echo "count: dead-man, both killed $((2 * rounds))"
