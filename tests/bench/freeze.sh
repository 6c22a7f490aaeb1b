#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long a guest's writes are blocked by a backup, as seen in the guest by a
# probe that writes and syncs once a millisecond; side by side in each round:
# nothing at all, a bare backup-begin, holdstill, and virtnbdbackup with the
# QEMU guest agent. Prints a table in Markdown.
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
	holdstill backup --full --json "$dom" >"$RIG_DIR/ours.json"
	jq -r '.points[0].freeze.held_ms * 1000' "$RIG_DIR/ours.json" \
	    >>"$RIG_DIR/held.us"
	[ "$(jq -r '.points[0].freeze.proved' "$RIG_DIR/ours.json")" = true ]
}

peer() {
	rm -rf "$RIG_DIR/peer/out"
	virtnbdbackup -n -d "$dom" -l full -S "$RIG_DIR/peer" \
	    -o "$RIG_DIR/peer/out"
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
	measure ours ours
	measure peer peer
done

echo "| $rounds rounds, ms | median | worst |"
echo "|---|---|---|"
echo "| longest write, no backup, 2 s | $(cells "$RIG_DIR/idle.us") |"
echo "| the call of a bare backup-begin | $(cells "$RIG_DIR/call.us") |"
echo "| longest write, bare backup-begin | $(cells "$RIG_DIR/bare.us") |"
echo "| held, as holdstill's proof says | $(cells "$RIG_DIR/held.us") |"
echo "| longest write, holdstill | $(cells "$RIG_DIR/ours.us") |"
echo "| longest write, virtnbdbackup $(virtnbdbackup --version) | $(cells "$RIG_DIR/peer.us") |"
