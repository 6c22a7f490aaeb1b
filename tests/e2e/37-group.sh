#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a group is one instant: three guests that pass a token round have it
# at the same turn in every restored group. What is not one instant says so,
# and a group that fails leaves nothing. HOLDSTILL_ROUNDS groups.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rounds=${HOLDSTILL_ROUNDS:-3}
lease=3
port=org.holdstill.ring.0
guests=(web app db)
doms=()
spreads=()
held=()

rig_start
hs_init_repo
for name in "${guests[@]}"; do
	rig_guest_create "$name" --disk vda:48M:ext4 --port $port &
	doms+=("$(rig_domain "$name")")
done
wait

# ---- the token ----

token() {
	rig_guest_exec "$1" "tr -d '\\0' </mnt/a/token"
}

has_token() {
	[ "$(token "$1")" -ge "${2:-0}" ] 2>/dev/null
}

# The number n is written by the guest n mod 3 alone, and only when n - 1 is
# durable in the guest before.
ring_start() {
	local name sockets=()

	for name in "${guests[@]}"; do
		rig_guest_exec "$name" "rig_tool token /dev/virtio-ports/$port \
		    /mnt/a/token >/run/rig/token.log 2>&1 &"
		rig_wait_for 10 "token file in $name" has_token "$name"
		sockets+=("$(rig_guest_dir "$name")/$port.sock")
	done
	"$RIG_LIB/rig_ring.py" 3 "${sockets[@]}" &
	rig_on_exit kill $!
}

ring_turns() {
	local now

	now=$(token web)
	rig_wait_for "$1" "turn of the token" has_token web $((now + 3))
}

# The tokens of the restored disks $1.raw: three successive numbers, each in
# its guest.
assert_one_instant() {
	local dir=$1 i values=() max=0

	for i in 0 1 2; do
		values[i]=$(debugfs -R 'cat /token' "$dir/${guests[i]}.raw" \
		    2>/dev/null | tr -d '\0')
		[ "${values[i]}" -le "$max" ] || max=${values[i]}
	done
	assert_num "$max" -gt 5 "turns of the token"
	for i in 0 1 2; do
		assert_eq "$i" $((values[i] % 3)) "guest of ${values[i]}"
		assert_num "${values[i]}" -gt $((max - 3)) \
		    "an effect without its cause: ${values[*]}"
	done
}

# ---- groups ----

# A group backup that exits with $1: its JSON is in HS_JSON.
group() {
	local status=$1
	shift

	assert_exit "$status" holdstill backup --json --group "${doms[@]}" "$@"
	HS_JSON=$ASSERT_OUT
}

# jq's filter $1 is true of each point of HS_JSON.
assert_each() {
	assert_json "$HS_JSON" "(.points | length) == 3 and all(.points[]; $1)"
}

restore_group() {
	local dir=$1 i id

	mkdir -p "$dir"
	for i in 0 1 2; do
		id=$(jq -r ".points[$i].id" <<<"$HS_JSON")
		assert_ok holdstill restore "$id" --disk \
		    "vda=$dir/${guests[i]}.raw" --format raw --overwrite
	done
}

counts() {
	local name

	for name in "${guests[@]}"; do
		hs_count "$name"
	done
}

# Nothing is left of a group: no job, no scratch space, no checkpoint but the
# latest point's, and every guest writes.
assert_all_clean() {
	local name

	for name in "${guests[@]}"; do
		HS_DOM=$(rig_domain "$name")
		hs_clean "$name" || fail "a job or scratch is left of $name"
		hs_assert_clean "$(hs_latest "$name")"
	done
	assert_ok ring_turns $((lease + 1))
}

# ---- always one instant ----

for name in "${guests[@]}"; do
	rig_guest_helper_wait "$name"
done
ring_start
for ((round = 0; round < rounds; round++)); do
	ring_turns 10
	group 0 --require filesystem --spread 8000
	assert_each '.consistency == "filesystem" and .group.consistent and
	    .group.reason == "" and (.group.members | length) == 3'
	assert_json "$HS_JSON" '([.points[].group] | unique | length) == 1 and
	    [.points[].id] == [.points[0].group.members[].id] and
	    .errors == []'
	restore_group "$RIG_DIR/restored"
	assert_one_instant "$RIG_DIR/restored"
	spreads+=("$(jq '.points[0].group.spread_ms' <<<"$HS_JSON")")
	held+=("$(jq '[.points[].freeze.held_ms] | max' <<<"$HS_JSON")")
done
assert_all_clean
assert_eq "$(printf '%s\n' "$rounds" "$rounds" "$rounds")" "$(counts)" points

# For people: list and show say it too.
assert_ok holdstill list
assert_match "$ASSERT_OUT" "${doms[0]} .*  group [0-9a-f]{8}\$"
assert_ok holdstill show "${doms[1]}@latest"
assert_match "$ASSERT_OUT" 'group [0-9a-f]{8} of 3, .* ms: consistent$'
assert_not_contains "$ASSERT_OUT" missing

# ---- what is not ----

# Over the budget.
group 3 --spread 0
assert_each '(.group.consistent | not) and .consistency == "filesystem" and
    (.group.reason | test("0 ms are allowed"))'
assert_contains "$ASSERT_ERR" "the group is not consistent: the pictures"
assert_exit 2 holdstill backup --group "${doms[@]}" --spread 2000 --lease 1
assert_exit 2 holdstill backup "${doms[0]}" --spread 100

# A member that nobody answers for.
rig_guest_exec db 'mv /usr/sbin/holdstill-guest /; killall holdstill-guest || :'
group 3
assert_each '(.group.consistent | not) and
    (.group.reason | test("-db. did not hold still"))'
assert_json "$HS_JSON" '[.points[].consistency] ==
    ["filesystem", "filesystem", "crash"]'
before=$(counts)
assert_exit 1 holdstill backup --group "${doms[@]}" --require filesystem
assert_contains "$ASSERT_ERR" "'${doms[2]}'"
assert_eq "$before" "$(counts)" "points after a group below what is required"
rig_guest_exec db 'mv /holdstill-guest /usr/sbin/; killall sleep || :'
rig_guest_helper_wait db
assert_all_clean

# Nonsense is refused before anything is done.
assert_exit 1 holdstill backup --group "${doms[@]}" "${doms[0]}"
assert_contains "$ASSERT_ERR" "'${doms[0]}' is named twice"
assert_exit 1 holdstill backup --group "${doms[0]}" no-such-machine
assert_contains "$ASSERT_ERR" no-such-machine

# ---- failures leave nothing ----

# One member's picture cannot be taken: its socket's place is taken.
hs_hold "hold still" holdstill backup -v --group "${doms[@]}"
for dir in "$HOLDSTILL_STATE_DIR"/scratch/run-*; do
	mkdir "$dir/nbd.sock"
	break
done
kill -CONT "$HS_PID"
status=0
hs_wait || status=$?
assert_eq 1 "$status" "exit status of a group without a picture"
assert_contains "$(cat "$HS_STDERR")" "cannot begin the backup job"
assert_eq "$before" "$(counts)" "points after a failed picture"
assert_all_clean

# Interrupted.
for step in "hold still" streaming; do
	hs_hold "$step" env --default-signal=INT \
	    holdstill backup -v --group "${doms[@]}"
	kill -INT "$HS_PID"
	kill -CONT "$HS_PID"
	status=0
	hs_wait || status=$?
	assert_eq 1 "$status" "exit status of a group stopped at '$step'"
	assert_eq "$before" "$(counts)" "points after a stop at '$step'"
	assert_all_clean
done

# Two runs never share a domain.
hs_hold streaming holdstill backup -v --group "${doms[0]}" "${doms[1]}"
assert_exit 4 holdstill backup --group "${doms[2]}" "${doms[1]}"
kill -CONT "$HS_PID"
hs_wait

# ---- a configured group ----

conf=$RIG_DIR/holdstill.conf
cat >"$conf" <<END
[repository local]
url = $HOLDSTILL_REPO

[job nightly]
domains = ${doms[*]}
repository = local
group = yes
spread = 8000
keep-last = 2

[job hasty]
domains = ${doms[*]}
repository = local
group = yes
spread = 0

[job more]
domains = ${doms[0]} no-such-machine
repository = local
group = yes
END
assert_ok holdstill --config "$conf" --json run nightly
HS_JSON=$ASSERT_OUT
assert_each '(.group.members | length) == 3 and .group.consistent'
before=$(counts)
assert_eq "$(printf '2\n2\n2')" "$before" "points that the job keeps"
assert_exit 3 holdstill --config "$conf" --json run hasty
HS_JSON=$ASSERT_OUT
assert_each '.group.reason | test("0 ms are allowed")'
before=$(counts)
assert_exit 1 holdstill --config "$conf" run more
assert_contains "$ASSERT_ERR" no-such-machine
assert_eq "$before" "$(counts)" "points after a group with a missing member"

# ---- kill -9 ----

# Lets the held process run for a moment at a time until $1 is true; false if
# it said $2 before.
step_until() {
	local until=$1 late=$2 turn

	for ((turn = 0; turn < 200; turn++)); do
		"$until" && return 0
		grep -q "$late" "$HS_STDERR" && return 1
		kill -CONT "$HS_PID" 2>/dev/null || return 1
		sleep 0.00"$((RANDOM % 5 + 1))"
		kill -STOP "$HS_PID" 2>/dev/null || return 1
	done
	return 1
}

# Until the instant is met that is looked for; a busy machine may miss it.
again() {
	kill -CONT "$HS_PID" 2>/dev/null || :
	hs_wait || :
	tries=$((tries + 1))
	assert_num "$tries" -lt 25 "tries to meet $1: $(cat "$HS_STDERR")"
}

for name in "${guests[@]}"; do
	rig_guest_writer_start "$name"
done

all_frozen() {
	local name

	for name in "${guests[@]}"; do
		[ "$(rig_guest_write_gap "$name" /mnt/a)" -ge 150 ] || return 1
	done
}

# In the hold: every guest thaws by itself, and the next run cleans up.
tries=0
until hs_hold "hold still" holdstill backup -v --lease "$lease" \
    --group "${doms[@]}" && step_until all_frozen streaming; do
	again "the hold"
done
before=$(counts)
kill -9 "$HS_PID"
hs_wait || :
for name in "${guests[@]}"; do
	assert_ok rig_guest_writes "$name" /mnt/a $((lease + 1))
done
assert_eq "$before" "$(counts)" "points of a killed group"
group 0 --require filesystem --spread 8000
assert_each '.group.consistent'
assert_all_clean

# Between two commits: what is there stays, and says who is missing.
points() {
	find "$HOLDSTILL_REPO/points" -type f | wc -l
}

some_committed() {
	[ "$(points)" -gt "$had" ]
}

commit_halfway() {
	had=$(points)
	hs_hold "committing" holdstill backup -v --group "${doms[@]}" &&
	    step_until some_committed never &&
	    [ "$(points)" -lt $((had + 3)) ]
}

tries=0
until commit_halfway; do
	again "a commit halfway"
done
kill -9 "$HS_PID"
hs_wait || :
assert_ok holdstill show "${doms[0]}@latest"
assert_match "$ASSERT_OUT" "${doms[2]}: missing"
assert_not_contains "$ASSERT_OUT" "${doms[0]}: missing"
assert_ok holdstill restore "${doms[0]}@latest" --disk \
    "vda=$RIG_DIR/alone.raw" --overwrite
assert_exit 1 rig_ext4_needs_recovery "$RIG_DIR/alone.raw"
assert_ok holdstill recover
assert_all_clean
group 0 --spread 8000
assert_ok holdstill verify

printf 'count: groups %d, always one instant\n' "$rounds"
sorted=$(printf '%s\n' "${spreads[@]}" | sort -n)
printf 'count: spread of the pictures, ms: median %s, worst %s\n' \
    "$(sed -n "$(((rounds + 1) / 2))p" <<<"$sorted")" "$(tail -n 1 <<<"$sorted")"
sorted=$(printf '%s\n' "${held[@]}" | sort -n)
printf 'count: longest hold of a member, ms: median %s, worst %s\n' \
    "$(sed -n "$(((rounds + 1) / 2))p" <<<"$sorted")" "$(tail -n 1 <<<"$sorted")"
