#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long a guest's writes are blocked by a backup, as seen in the guest by a
# probe that writes and syncs once a millisecond; side by side in each round:
# nothing at all, a bare backup-begin, holdstill, and virtnbdbackup with the
# QEMU guest agent. Prints a table in Markdown and whether the goals are met:
# the guest's longest write is at most 15 ms longer than a bare backup-begin
# takes, and shorter than the peer's, both by the medians of the rounds whose
# freeze was proved. Ends with 1 if one is missed.
#
#	HOLDSTILL_BUILD=build-release tests/bench/freeze.sh [ROUNDS]
#
# Packages beside those of the tests: virtnbdbackup.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/rig.sh
. "$here/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$here/../lib/holdstill.sh"

rounds=${1:-20}
goal_us=15000
unproved=0
[ -n "$(command -v virtnbdbackup)" ] || skip "no virtnbdbackup here"
rig_start
mkdir -p "$RIG_DIR/probe/sbin" "$RIG_DIR/peer"
chmod 1777 "$RIG_DIR/peer"
gcc -std=c11 -D_GNU_SOURCE -O2 -static -s -o "$RIG_DIR/probe/sbin/write_probe" \
    "$here/write_probe.c"
_rig_cpio "$RIG_DIR/probe" >>"$RIG_DIR/initrd"
hs_init_repo
rig_guest_create web --disk vda:64M:ext4 --qga
rig_guest_helper_wait web
dom=$(rig_domain web)
rig_guest_exec web \
    'write_probe run /mnt/a/probe /run/rig/probe >/dev/null 2>&1 &'

longest() {
	rig_guest_exec web 'write_probe max /run/rig/probe'
}

# Without its checkpoint the next one is a full again, as the peer's.
drop_checkpoints() {
	virsh -q checkpoint-list "$dom" --name | while read -r name; do
		[ -z "$name" ] || virsh -q checkpoint-delete "$dom" "$name"
	done >/dev/null
}

measure() {
	local name=$1
	shift

	longest >/dev/null
	"$@" >"$RIG_DIR/$name.out" 2>&1 || {
		cat "$RIG_DIR/$name.out"
		return 1
	}
	longest >>"$RIG_DIR/$name.us"
	drop_checkpoints
}

bare() {
	/usr/bin/python3 "$here/bare_begin.py" "$dom" "$RIG_DIR/peer" \
	    >>"$RIG_DIR/call.us"
}

ours() {
	local status=0

	# 3: made, and not proved; a busy machine may miss a lease.
	holdstill backup --full --json "$dom" >"$RIG_DIR/ours.json" ||
		status=$?
	[ "$status" = 0 ] || [ "$status" = 3 ] || return 1
	proved=$(jq -r '.points[0].freeze.proved' "$RIG_DIR/ours.json")
	[ "$proved" = true ] || return 0
	jq -r '.points[0].freeze.held_ms * 1000' "$RIG_DIR/ours.json" \
	    >>"$RIG_DIR/held.us"
}

measure_ours() {
	measure round ours
	if [ "$proved" = true ]; then
		cat "$RIG_DIR/round.us" >>"$RIG_DIR/ours.us"
	else
		unproved=$((unproved + 1))
	fi
	rm "$RIG_DIR/round.us"
}

peer() {
	rm -rf "$RIG_DIR/peer/out"
	virtnbdbackup -n -d "$dom" -l full -S "$RIG_DIR/peer" \
	    -o "$RIG_DIR/peer/out"
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# verdict GOAL US OP US: says whether it is met.
missed=0
verdict() {
	local word=met

	test "$2" "$3" "$4" || {
		word=MISSED
		missed=1
	}
	awk -v goal="$1" -v word="$word" -v got="$2" -v most="$4" 'BEGIN {
		printf "- %s: **%s** (%.1f ms, %.1f ms)\n", goal, word,
		    got / 1000, most / 1000 }'
}

# Median and worst of a file of microseconds, as cells in ms.
cells() {
	sort -n "$1" | awk '{ v[NR] = $1 } END {
		printf "%.1f | %.1f\n", v[int((NR + 1) / 2)] / 1000, v[NR] / 1000
	}'
}

for ((i = 0; i < rounds; i++)); do
	measure idle sleep 2
	measure bare bare
	measure_ours
	measure peer peer
done
[ -e "$RIG_DIR/ours.us" ] || fail "no freeze was proved in $rounds rounds"

echo "| $rounds rounds, ms | median | worst |"
echo "|---|---|---|"
echo "| longest write, no backup, 2 s | $(cells "$RIG_DIR/idle.us") |"
echo "| the call of a bare backup-begin | $(cells "$RIG_DIR/call.us") |"
echo "| longest write, bare backup-begin | $(cells "$RIG_DIR/bare.us") |"
echo "| held, as holdstill's proof says | $(cells "$RIG_DIR/held.us") |"
echo "| longest write, holdstill | $(cells "$RIG_DIR/ours.us") |"
echo "| longest write, virtnbdbackup $(virtnbdbackup --version) | $(cells "$RIG_DIR/peer.us") |"

ours_us=$(median "$RIG_DIR/ours.us")
call_us=$(median "$RIG_DIR/call.us")
peer_us=$(median "$RIG_DIR/peer.us")
echo
echo "Not proved, and in no row of holdstill: $unproved of $rounds rounds."
echo
verdict "at most 15 ms longer than the call of a bare backup-begin" \
    $((ours_us - call_us)) -le "$goal_us"
verdict "shorter than virtnbdbackup with the QEMU guest agent" \
    "$ours_us" -lt "$peer_us"
exit "$missed"
