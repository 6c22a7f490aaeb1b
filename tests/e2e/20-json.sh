#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: with --json every command prints one document of its schema
# (tests/data/schema/) and nothing else, when it fails too.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

check=$(dirname "$0")/../lib/check_json.py

# json SCHEMA STATUS FILTER ARGUMENT...: the output of holdstill with these
# arguments fits the schema and jq's FILTER.
json() {
	local schema=$1 status=$2 filter=$3
	shift 3

	assert_exit "$status" holdstill --json "$@"
	"$check" "$schema" <<<"$ASSERT_OUT" ||
	    fail "JSON of: holdstill $*: $ASSERT_OUT"
	assert_json "$ASSERT_OUT" "$filter" "JSON of: holdstill $*"
}

# The schemas refuse what they should.
refuse() {
	! "$check" "$1" <<<"$2" 2>/dev/null ||
	    fail "schema $1 takes $2"
}
refuse list '{"points":[]} trailing'
refuse list '{"points":[],"more":1}'
refuse backup '{"points":[{"id":"x"}],"errors":[]}'
refuse prune '{"prune":{"dry_run":"no"}}'

refuse key-list '{"keys":[{"id":"x"}],"damaged":[]}'
refuse key '{"id":"00000000000000000000000000000000","recovery_key":"A"}'

hs_guest --disk vda:64M:ext4 --disk vdb:8M:none
dom=$HS_DOM

json list 0 '.points == []' list
json guest-status 0 ".guest.domain == \"$dom\"" guest status "$dom"
json guest-writers 0 '.guest_writers.writers == []' guest writers "$dom"
json freeze-test 0 '.freeze_test.proved' guest freeze-test "$dom"
assert_contains "$(holdstill -v guest freeze-test "$dom" --lease 7 2>&1)" \
    "of a lease of 7000 ms"
json backup 0 '(.points | length) == 1 and .errors == []' backup "$dom"
point=$(jq -r '.points[0].id' <<<"$ASSERT_OUT")
stored=$(jq '.points[0].disks' <<<"$ASSERT_OUT")
json backup 1 '(.points | length) == 1 and
    .errors[0].domain == "no-such-machine"' backup no-such-machine "$dom"
json backup 3 '.points[0].consistency == "filesystem"' \
    backup "$dom" --prefer application
json list 0 '.points | length == 3' list
json list 0 '.points == []' list no-such-machine
json show 0 ".id == \"$point\"" show "$point"
# What was said when the point was made is what is said of it later.
assert_eq "$(jq -c '.[] | [.target, .source, .stored_bytes]' <<<"$stored")" \
    "$(jq -c '.disks[] | [.target, .source, .stored_bytes]' \
	<<<"$ASSERT_OUT")" "disks of $point"

json restore 0 '.restore.defined == null and
    (.restore.disks | map(.target)) == ["vda", "vdb"]' \
    restore "$point" --to "$RIG_DIR/r1"
json restore 0 ".restore.defined == \"$dom-copy\"" \
    restore "$point" --to "$RIG_DIR/r2" --define "$dom-copy"
json restore 0 '.restore.definition == null' \
    restore "$point" --disk "vdb=$RIG_DIR/b.raw"

json verify 0 '.verify.damages == [] and .verify.points_checked == 3' verify
json forget 0 '.forget.dry_run and (.forget.kept | length) == 1 and
    (.forget.forgotten | length) == 2 and
    .forget.kept[0].rules == ["keep-last"]' \
    forget "$dom" --keep-last 1 --dry-run
json forget 0 ".forget.forgotten[0].id == \"$point\"" forget "$point"
json list 0 ".points[0].id == \"$point\"" list --forgotten
json unforget 0 ".unforget.kept[0].id == \"$point\"" unforget "$point"
json forget 0 ".forget.forgotten[0].id == \"$point\"" forget "$point"
json prune 0 '.prune.dry_run' prune --dry-run
json prune 0 '.prune.dry_run | not' prune
json catalog 0 '.catalog.added == 2' catalog rebuild
json catalog 0 '.catalog.added == 0' catalog sync
json recover 0 '.recover == {"undone": 0, "kept": 0, "owed": 0}' recover

cat >"$RIG_DIR/conf" <<CONF
[repository r]
url = $HOLDSTILL_REPO
[job j]
domains = $dom no-such-machine
CONF
json backup 1 '(.points | length) == 1 and (.errors | length) == 1' \
    --config "$RIG_DIR/conf" run j
json backup 0 '.points[0].group | .consistent and .reason == "" and
    (.members | length) == 1' backup --group "$dom" --spread 10000
json backup 3 '.points[0].group.reason | test("allowed")' \
    backup --group "$dom" --spread 0
json show 0 '.group.consistent | not' show "$dom@latest"
json backup 1 ".points == [] and
    [.errors[].domain] == [\"$dom\", \"no-such-machine\"]" \
    backup --group "$dom" no-such-machine

# ---- encrypted repositories ----

sealed=(--repo "$RIG_DIR/sealed" --key-file "$RIG_DIR/key")
json init 0 '.repository.encryption == "keyfile" and .key.recovery_key' \
    "${sealed[@]}" init --encrypt keyfile --recovery
json key-add 0 '.key.recovery_key | not' "${sealed[@]}" key add \
    --new-key-file "$RIG_DIR/key2" --label second
second=$(jq -r .key.id <<<"$ASSERT_OUT")
json key-add 0 .key.recovery_key "${sealed[@]}" key add --recovery
json key-list 0 '[.keys[].kind] | sort ==
    ["file", "file", "recovery", "recovery"]' "${sealed[@]}" key list
json key-list 0 '[.keys[] | select(.in_use)] | length == 1' \
    "${sealed[@]}" key list
json key-remove 0 ".removed.id == \"$second\"" "${sealed[@]}" key remove \
    "$second"
json key-rotate-slot 0 '.key.id != .removed.id' "${sealed[@]}" \
    key rotate-slot --new-key-file "$RIG_DIR/key3"
json failure 1 '.error.text | test("wrong key file")' "${sealed[@]}" list
json init 0 '.repository.encryption == "none"' --repo "$RIG_DIR/plain" init
json failure 1 '.error.text | test("not encrypted")' --repo "$RIG_DIR/plain" \
    key list

# ---- failures ----

json failure 1 '.error.text != ""' show nobody@latest
json failure 1 '.error.hint | test("holdstill init")' \
    --repo "$RIG_DIR/nothing" list
json failure 1 '.error.text | test("no-such-machine")' \
    guest status no-such-machine
json failure 2 '.error.text | test("conf")' --config "$RIG_DIR/no-conf" list
json failure 2 '.error.hint | test("--full")' backup "$dom" --fulll
pack=$(find "$HOLDSTILL_REPO" -path '*pack*' -type f | sort | head -n 1)
printf X | dd of="$pack" bs=1 seek=100 conv=notrunc 2>/dev/null
json verify 1 '.verify.damaged_objects > 0 and (.verify.damages | length) > 0' \
    verify
