#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: under constant writes on file systems of all kinds, on top of each
# other and in another mount namespace, every freeze ends, every proof is
# true as seen from outside, and no writer is left waiting.
# HOLDSTILL_ROUNDS freezes for a hold, and as many for a backup.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"
# shellcheck source=tests/lib/rig_stack.sh
. "$(dirname "$0")/../lib/rig_stack.sh"

rounds=${HOLDSTILL_ROUNDS:-2}
hold=300
proved=0
unproved=0
free_writes=0

rig_stack_start
hs_init_repo
dom=$(rig_domain web)
rig_stack_create web
rig_stack_write web

# assert_still BEGIN_NS END_NS: no write came through on what was frozen.
# What knows no freeze shows that the counting counts.
assert_still() {
	local within error dir

	while read -r within _ error dir; do
		assert_eq 0 "$error" "errno of the writer in $dir"
		case " ${RIG_STACK_FREE[*]} " in
		*" $dir "*) free_writes=$((free_writes + within)) ;;
		*) assert_eq 0 "$within" "writes in $dir while it was frozen" ;;
		esac
	done < <(rig_stack_within web "$1" "$2")
}

# Each file system once, all of them frozen but those that cannot be.
assert_all_frozen() {
	local dir list

	list=$(jq -r '.filesystems[] | "\(.state) \(.mount_point)"' <<<"$1" |
	    sed 's/ (in the mount namespace .*//' | sort)
	assert_eq "$(
		for dir in "${RIG_STACK_FROZEN[@]}" "${RIG_STACK_HIDDEN[@]}"; do
			echo "frozen $dir"
		done | sort
		echo "skipped /mnt/fat"
		echo "skipped /mnt/ro"
	)" "$list" "what was frozen"
}

# A freeze that was too slow for its lease, on a busy machine, claims
# nothing; one that claims is held to it. True if it claims.
claims() {
	if jq -e '.proved' <<<"$1" >/dev/null; then
		proved=$((proved + 1))
		return 0
	fi
	unproved=$((unproved + 1))
	rig_say "not proved: $(jq -c '.consistency_reason // .' <<<"$1")"
	return 1
}

hold_still() {
	local end test

	holdstill guest freeze-test --json --hold "$hold" "$dom" \
	    >"$RIG_DIR/test.json" 2>>"$RIG_DIR/err" || true
	test=$(jq .freeze_test "$RIG_DIR/test.json")
	claims "$test" || return 0
	assert_all_frozen "$test"
	end=$(jq .end_ns <<<"$test")
	# The host's clock and the guest's need not be equally fast.
	assert_still "$end" $((end + hold * 900000))
}

# The image $1, or what lies at MiB $2 in it, is an ext4 of state $3 (clean,
# unclean).
assert_ext4() {
	local want=1

	[ "$3" = clean ] || want=0
	if [ "$2" != 0 ]; then
		dd "if=$1" "of=$1.part" bs=1M "skip=$2" count=16 status=none
		set -- "$1.part" 0 "$3"
	fi
	assert_exit "$want" rig_ext4_needs_recovery "$1"
}

# assert_picture POINT STATE: the ext4 of the point, those in files of others
# too, are all in that state.
assert_picture() {
	local out=$RIG_DIR/picture

	rm -rf "$out"
	assert_ok holdstill restore "$1" --to "$out" --format raw
	assert_ext4 "$out/vda.raw" 0 "$2"
	# The volume across vde and vdf begins where vde does.
	assert_ext4 "$out/vde.raw" 0 "$2"
	# In another mount namespace.
	assert_ext4 "$out/vdf.raw" 32 "$2"
	[ "$2" = clean ] || return 0
	debugfs -R "dump /bound/bl.img $out/bl.raw" "$out/vda.raw" 2>/dev/null
	debugfs -R "dump /mid.img $out/mid.raw" "$out/vda.raw" 2>/dev/null
	debugfs -R "dump /inner.img $out/inner.raw" "$out/mid.raw" 2>/dev/null
	debugfs -R "dump /nsl.img $out/nsl.raw" "$out/vdf.raw.part" 2>/dev/null
	for image in bl mid inner nsl; do
		assert_ext4 "$out/$image.raw" 0 clean
		assert_ok e2fsck -fn "$out/$image.raw"
	done
	assert_ok e2fsck -fn "$out/vda.raw"
}

back_up() {
	local status=0 out freeze end

	out=$(holdstill backup --json --lease 60 "$dom" 2>>"$RIG_DIR/err") ||
		status=$?
	assert_match "$status" '^[03]$' \
	    "exit status of the backup ($(tail -n 3 "$RIG_DIR/err"))"
	freeze=$(jq '.points[0] |
	    .freeze + {consistency_reason: .consistency_reason}' <<<"$out")
	claims "$freeze" || return 0
	assert_json "$out" '.points[0].consistency == "filesystem"'
	assert_all_frozen "$freeze"
	end=$(jq .end_ns <<<"$freeze")
	assert_still "$end" "$(jq .thaw_ns <<<"$freeze")"
	assert_picture "$(jq -r '.points[0].id' <<<"$out")" clean
}

# What was not held still shows it: the look at a picture can see.
assert_ok holdstill backup --json --prefer crash "$dom"
assert_picture "$(jq -r '.points[0].id' <<<"$ASSERT_OUT")" unclean

for ((round = 0; round < rounds; round++)); do
	hold_still
	rig_stack_writes web || fail "a file system is left frozen"
	back_up
	rig_stack_writes web || fail "a file system is left frozen"
	assert_ok hs_clean web
	# Points of old rounds are of no use.
	if [ $((round % 20)) = 19 ]; then
		assert_ok holdstill forget "$dom" --keep-last 2
		assert_ok holdstill prune --undelete-days 0
	fi
done

assert_num "$free_writes" -gt 0 "writes while the others were frozen"
# A slow machine may miss one in ten, or one of a few.
assert_num "$unproved" -le $(((2 * rounds + 9) / 10)) \
    "unproved, of $((2 * rounds)) freezes"
assert_num $((proved + unproved)) -eq $((2 * rounds)) freezes
echo "count: freezes $((2 * rounds)), proved and true $proved," \
    "not proved $unproved"
