#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what cron calls is quiet when well, says one line when not, goes on
# with the other guests, keeps what it is told to, never overlaps itself.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
rig_guest_create two --disk vda:64M:ext4
rig_guest_helper_wait two
two=$(rig_domain two)
conf=$RIG_DIR/holdstill.conf
cat >"$conf" <<E
[repository local]
url = $HOLDSTILL_REPO

[job nightly]
domains = ${HS_DOM%-web}-*
repository = local
keep-last = 2
verify = 100

[job named]
domains = $HS_DOM $two no-such-machine
repository = local
scratch-dir = $RIG_DIR/scratch
E
unset HOLDSTILL_REPO
run() {
	holdstill --config "$conf" run "$@"
}
count() {
	holdstill --config "$conf" list --json "$1" | jq '.points | length'
}

# Quiet when well, and no more points than the job keeps.
for _ in 1 2 3; do
	assert_ok run nightly
	assert_eq "" "$ASSERT_OUT$ASSERT_ERR" "words of a run that went well"
done
assert_eq 2 "$(count "$HS_DOM")" "points of web"
assert_eq 2 "$(count "$two")" "points of two"

# One line for the domain that is missing; the others are backed up.
assert_exit 1 run named
assert_eq "" "$ASSERT_OUT"
assert_lines 1 "$ASSERT_ERR"
assert_contains "$ASSERT_ERR" "no-such-machine"
assert_eq 3 "$(count "$HS_DOM")" "points of web"
assert_eq 3 "$(count "$two")" "points of two"

# Nor does one that is off stop the rest. A glob means the machines that run:
# there it is left out without a word.
virsh -q destroy "$two"
assert_exit 1 run named
assert_lines 2 "$ASSERT_ERR"
assert_contains "$ASSERT_ERR" "domain '$two' is off"
assert_eq 4 "$(count "$HS_DOM")" "points of web"
assert_ok run nightly
assert_eq "" "$ASSERT_OUT$ASSERT_ERR" "words of a run without the one off"
assert_eq 2 "$(count "$HS_DOM")" "points of web"
assert_eq 3 "$(count "$two")" "points of two, which was not backed up"
rig_guest_start two
rig_guest_helper_wait two

# A second run of the job, and a backup of its domain, find it busy.
hs_hold streaming holdstill --config "$conf" -v run named
assert_exit 4 run named
assert_contains "$ASSERT_ERR" "job 'named': another run holds it"
[ "$(find "$RIG_DIR/scratch" -name 'run-*' | wc -l)" = 1 ] ||
    fail "no scratch folder where the job has them"
held=$(sed -n 's/^holdstill: \(.*\): streaming$/\1/p' "$HS_STDERR")
assert_exit 4 holdstill --config "$conf" backup "$held"
kill -CONT "$HS_PID"
hs_wait || true

# What is forgotten is given back, and the rest stays whole.
rig_guest_exec web 'head -c 6000000 /dev/urandom >/mnt/a/noise; sync'
assert_ok run nightly
rig_guest_exec web 'rm /mnt/a/noise; sync; fstrim /mnt/a || :'
assert_ok run nightly
# Enough to be met while it streams.
rig_guest_exec web 'head -c 6000000 /dev/urandom >/mnt/a/news; sync'
assert_ok rig_reference_live web "$RIG_DIR/ref" \
    holdstill --config "$conf" -v run nightly
assert_ok holdstill --config "$conf" forget "$HS_DOM" --keep-last 1 --dry-run
assert_contains "$ASSERT_OUT" "would go"
assert_eq 2 "$(count "$HS_DOM")" "points after a dry run"
# One point under two names goes once.
assert_ok holdstill --config "$conf" forget "$HS_DOM@-1" "$HS_DOM@-1"
assert_eq 1 "$(count "$HS_DOM")" "points of web"
repo=$RIG_DIR/repo
before=$(du -sb "$repo" | cut -f1)
assert_ok holdstill --config "$conf" prune --dry-run \
    --undelete-days 0
assert_eq "$before" "$(du -sb "$repo" | cut -f1)" "bytes after a dry run"
assert_ok holdstill --config "$conf" prune --undelete-days 0
assert_num "$(du -sb "$repo" | cut -f1)" -lt $((before - 4000000)) \
    "bytes after the prune"
assert_ok holdstill --config "$conf" verify
HOLDSTILL_REPO=$repo hs_restore_and_compare "$HS_DOM@latest" "$RIG_DIR/ref"

# A prune works beside a backup, and takes nothing from it.
hs_hold streaming holdstill --config "$conf" -v backup "$two"
kill -CONT "$HS_PID"
assert_ok holdstill --config "$conf" prune --undelete-days 0
hs_wait || fail "a backup beside a prune: $(cat "$HS_STDERR")"
assert_ok holdstill --config "$conf" verify

# One that is silent is given up, and fails when it comes back.
hs_hold streaming holdstill --config "$conf" -v backup "$two"
assert_ok holdstill --config "$conf" prune --silence 1
kill -CONT "$HS_PID"
! hs_wait || fail "a backup that was given up made a point"
assert_contains "$(cat "$HS_STDERR")" "the backup was given up"
assert_ok holdstill --config "$conf" backup "$two"
assert_ok holdstill --config "$conf" verify
