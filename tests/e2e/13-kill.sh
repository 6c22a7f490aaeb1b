#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: kill -9 of the host command, whenever it comes, leaves a guest that
# writes, and after the next command nothing else; no earlier point is hurt.
# HOLDSTILL_ROUNDS kills of each kind.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rounds=${HOLDSTILL_ROUNDS:-3}
lease=3

hs_guest
rig_guest_writer_start web

kill_held() {
	# One killed at random may have ended before.
	kill -9 "$HS_PID" 2>/dev/null || true
	hs_wait || true
}

# The guest went on within lease + 1 s, as its own clock has it.
assert_wrote_on() {
	local dir

	for dir in /mnt/a /mnt/b; do
		assert_ok rig_guest_writes web "$dir" $((lease + 1))
		assert_num "$(rig_guest_write_max_gap web "$dir" reset)" -le \
		    $((lease * 1000 + 1000)) "ms without a write in $dir"
	done
}

# Killed between the commit, which the guest's helper does not answer, and
# the end of the job.
kill_committed() {
	local before
	before=$(hs_count web)

	hs_hold "streaming" holdstill backup -v "$HS_DOM"
	rig_guest_exec web 'killall -STOP holdstill-guest'
	kill -CONT "$HS_PID"
	rig_wait_for 10 "new point" has_points $((before + 1))
	kill_held
	rig_guest_exec web 'killall -CONT holdstill-guest'
	assert_ne "$HS_POINT" "$(hs_latest web)"
}

has_points() {
	[ "$(find "$HOLDSTILL_REPO/points" -type f | wc -l)" = "$1" ]
}

# The dead run is cleaned up by recover or by the next backup, in turn. (The
# reference waits for a job: it must not meet the dead one's.)
assert_recovered() {
	if [ $((round % 2)) = 0 ]; then
		assert_ok holdstill recover
		hs_assert_clean "$(hs_latest web)"
	else
		hs_make 0 ""
		hs_assert_clean "$HS_POINT"
	fi
	hs_make 0 "$RIG_DIR/ref"
	assert_json "$HS_JSON" '.points[0].kind == "incremental"'
	hs_assert_clean "$HS_POINT"
	hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"
	rm -rf "$HS_RESTORED"
}

hs_make 0 "$RIG_DIR/first"
first=$HS_POINT
rig_guest_write_max_gap web /mnt/a reset >/dev/null
rig_guest_write_max_gap web /mnt/b reset >/dev/null

for ((round = 0; round < rounds; round++)); do
	# In the freeze: killed at once, or stopped for good.
	hs_hold_frozen holdstill backup -v --lease "$lease" "$HS_DOM"
	[ $((round % 2)) = 1 ] || kill_held
	assert_wrote_on
	[ $((round % 2)) = 0 ] || kill_held
	assert_recovered

	# At a random moment of the whole, streaming for the most.
	holdstill backup --lease "$lease" "$HS_DOM" >/dev/null 2>&1 &
	HS_PID=$!
	sleep "0.$(printf %03d $((RANDOM % 900)))"
	kill_held
	assert_wrote_on
	assert_recovered

	kill_committed
	assert_wrote_on
	assert_recovered
done

hs_restore_and_compare "$first" "$RIG_DIR/first"
assert_ok holdstill verify
echo "count: kills $((3 * rounds))"
