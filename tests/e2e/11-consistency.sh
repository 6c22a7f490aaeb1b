#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what a point says of its consistency is true: "filesystem" needs no
# journal recovery, everything else is "crash" and says why.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rig_start
hs_init_repo
rig_guest_create helped --disk vda:64M:ext4 --qga &
created=$!
rig_guest_create bare --disk vda:64M:ext4 --no-channel
rig_guest_create dead --disk vda:64M:ext4 --no-helper
rig_guest_create qga --disk vda:64M:ext4 --no-helper --qga
wait "$created"
rig_guest_helper_wait helped

# The ext4 of the latest point, restored, is as clean as the point says.
assert_recovery() {
	local name=$1 want=$2 dir

	dir=$(mktemp -d "$RIG_DIR/out.XXXXXX")
	assert_ok holdstill restore "$(rig_domain "$name")@latest" --to "$dir"
	assert_exit "$want" rig_ext4_needs_recovery "$dir/vda.qcow2"
	# What the bit promises, the checker confirms.
	qemu-img convert -O raw "$dir/vda.qcow2" "$dir/vda.raw"
	[ "$want" = 0 ] || assert_ok e2fsck -fn "$dir/vda.raw"
	rm -r "$dir"
}

# backup NAME STATUS FILTER [OPTION...]: its point fits the filter of jq.
backup() {
	local name=$1 status=$2 filter=$3
	shift 3

	rig_guest_writes "$name" /mnt/a
	assert_exit "$status" hs_backup "$name" "$RIG_DIR/out.json" "$@"
	assert_json "$(hs_point "$RIG_DIR/out.json" .)" "$filter"
}

# $1 fails with words $2 and leaves nothing behind.
assert_refused() {
	local name=$1 words=$2 points checkpoints
	shift 2

	points=$(hs_count "$name")
	checkpoints=$(virsh -q checkpoint-list "$(rig_domain "$name")" --name)
	assert_exit 1 holdstill backup "$(rig_domain "$name")" "$@"
	assert_contains "$ASSERT_ERR" "$words"
	assert_eq "$points" "$(hs_count "$name")" "points of $name"
	assert_eq "$checkpoints" "$(virsh -q checkpoint-list \
	    "$(rig_domain "$name")" --name)" "checkpoints of $name"
	assert_ok hs_clean "$name"
	assert_ok rig_guest_writes "$name" /mnt/a
}

for name in helped bare dead qga; do
	rig_guest_writer_start "$name"
done

# Our helper: clean, with proof.
backup helped 0 '.consistency == "filesystem" and .consistency_reason == "" and
    .freeze.proved and .freeze.source == "holdstill" and .freeze.held_ms > 0 and
    any(.freeze.filesystems[]; .mount_point == "/mnt/a" and
	.state == "frozen" and .disk == "vda")' --require filesystem
assert_recovery helped 1

# The same guest, not asked: a crash, and that is what was wanted.
backup helped 0 '.consistency == "crash" and .freeze.source == "none" and
    (.freeze.proved | not) and .consistency_reason != ""' --prefer crash
assert_recovery helped 0

# More than a freeze is not to be had yet.
backup helped 3 '.consistency == "filesystem"' --prefer application
assert_refused helped application --require application

# A paused guest cannot answer.
virsh -q suspend "$(rig_domain helped)"
assert_ok hs_backup helped "$RIG_DIR/out.json"
assert_json "$(hs_point "$RIG_DIR/out.json" .)" '.consistency == "crash" and
    (.consistency_reason | test("paused"))'
virsh -q resume "$(rig_domain helped)"
assert_recovery helped 0

# Nobody there to ask.
backup bare 0 '.consistency == "crash" and .freeze.source == "none" and
    (.consistency_reason | test("helper|answer"))'
assert_recovery bare 0
backup bare 3 '.consistency == "crash"' --prefer filesystem
assert_contains "$(cat "$RIG_DIR/out.json.err")" "consistency is only 'crash'"
assert_refused bare filesystem --require filesystem

# A channel, and nobody on it: somebody ought to hear of that.
backup dead 3 '.consistency == "crash" and .freeze.source == "none" and
    (.consistency_reason | test("no helper answers"))'
assert_contains "$(cat "$RIG_DIR/out.json.err")" "no helper answers"
assert_recovery dead 0
backup dead 0 '.consistency == "crash"' --prefer crash

# The QEMU guest agent serves where ours is not.
backup qga 0 '.consistency == "filesystem" and .freeze.source == "qemu-ga"' \
    --require filesystem
assert_recovery qga 1

# Beside a helper that does not answer as well, and says so.
rig_guest_exec helped 'killall -STOP holdstill-guest'
backup helped 0 '.consistency == "filesystem" and .freeze.source == "qemu-ga" and
    (.consistency_reason | test("does not serve"))' --require filesystem
assert_recovery helped 1
rig_guest_exec helped 'killall -CONT holdstill-guest'
rig_guest_helper_wait helped
backup helped 0 '.consistency == "filesystem" and .freeze.source == "holdstill" and
    .consistency_reason == ""'

# It has no lease: a host that dies leaves the guest frozen, and the next
# command thaws it.
stalled() {
	[ "$(rig_guest_write_gap qga /mnt/a)" -ge "$1" ]
}

killed_frozen() {
	local pid

	holdstill guest freeze-test --hold 30000 "$(rig_domain qga)" \
	    >/dev/null 2>&1 &
	pid=$!
	rig_wait_for 20 "freeze by the agent" stalled 500
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	rig_wait_for 10 "guest that stays frozen" stalled 2000
	"$@"
	assert_ok rig_guest_writes qga /mnt/a 2
}

recovers() {
	assert_ok holdstill --json recover
	assert_json "$ASSERT_OUT" '.recover.undone == 1 and .recover.kept == 0'
}

tests() {
	assert_ok holdstill --json guest freeze-test "$(rig_domain qga)"
	assert_json "$ASSERT_OUT" '.freeze_test |
	    .proved and .source == "qemu-ga"'
}

backs_up() {
	assert_exit 0 hs_backup qga "$RIG_DIR/out.json" --require filesystem
	assert_recovery qga 1
}

killed_frozen recovers
killed_frozen tests
killed_frozen backs_up
recovers_nothing=$(holdstill --json recover)
assert_json "$recovers_nothing" '.recover.undone == 0 and .recover.kept == 0'
