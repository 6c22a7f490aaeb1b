#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a flipped byte anywhere is found, named with the points it hurts and
# no others; what is hurt is refused, what is not restores.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
hs_make 0 "$RIG_DIR/ref0"
old=$HS_POINT
packs_of_old=$(cd "$RIG_DIR/repo" && find packs -type f)
rig_guest_exec web 'head -c 3000000 /dev/urandom >/mnt/a/noise; sync'
hs_make 0 "$RIG_DIR/ref1"
new=$HS_POINT
cp -r "$RIG_DIR/repo" "$RIG_DIR/whole"
# Each repeat restores the repository from the copy, and forgets the caches.
fresh() {
	rm -rf "$RIG_DIR/repo" "$HOLDSTILL_STATE_DIR" "$RIG_DIR/out"
	cp -r "$RIG_DIR/whole" "$RIG_DIR/repo"
}

# Changes the byte of FILE at OFFSET.
flip() {
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	printf '%b' "\\x$(printf '%02x' $((byte ^ 0x40)))" |
	    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# verify names KEY, and as hurt points exactly those of the list.
assert_named() {
	local key=$1
	shift

	assert_exit 1 holdstill verify --json
	assert_json "$ASSERT_OUT" \
	    "any(.verify.damages[]; .object == \"$key\")" "$key"
	assert_eq "$(printf '%s\n' "$@" | sort)" \
	    "$(jq -r '.verify.damages[].point | select(. != "")' \
		<<<"$ASSERT_OUT" | sort -u)" "points hurt by $key"
	assert_exit 1 holdstill verify
	assert_contains "$ASSERT_OUT" "$key"
}

refused() {
	assert_exit 1 holdstill restore "$1" --to "$RIG_DIR/out"
	assert_no_file "$RIG_DIR/out/vda.qcow2"
	assert_eq "" "$(find "$RIG_DIR/out" -name '*.partial' 2>/dev/null)"
	rm -rf "$RIG_DIR/out"
}

# The largest pack of the second point: head, data, table, last byte.
pack=
for file in $(cd "$RIG_DIR/whole" && find packs -type f -size +1000k); do
	case $packs_of_old in *"$file"*) ;; *) pack=$file ;; esac
done
[ -n "$pack" ] || fail "the second point has no pack of its own"
size=$(stat -c %s "$RIG_DIR/whole/$pack")
for offset in 2 $((size / 3)) $((size / 2)) $((size - 40)) $((size - 1)); do
	fresh
	flip "$RIG_DIR/repo/$pack" "$offset"
	assert_named "$pack" "$new"
	case $offset in
	$((size / 3)) | $((size / 2)))
		refused "$new"
		assert_exit 1 holdstill verify "$new"
		;;
	esac
	assert_ok holdstill verify "$old"
done
hs_restore_and_compare "$old" "$RIG_DIR/ref0"

# A pack that is gone.
fresh
rm "$RIG_DIR/repo/$pack"
assert_named "$pack" "$new"
refused "$new"
hs_restore_and_compare "$old" "$RIG_DIR/ref0"

# A manifest: its point is hurt, and the other is not.
for offset in 3 100 400; do
	fresh
	flip "$RIG_DIR/repo/points/$old" "$offset"
	assert_named "points/$old" "$old"
	refused "$old"
done
hs_restore_and_compare "$new" "$RIG_DIR/ref1"

# An index says nothing that the packs do not say: it hurts no point.
fresh
index=$(cd "$RIG_DIR/repo" && find index -type f | head -n 1)
flip "$RIG_DIR/repo/$index" 60
assert_named "$index" ""
hs_restore_and_compare "$old" "$RIG_DIR/ref0"
hs_restore_and_compare "$new" "$RIG_DIR/ref1"

# The settings: nothing is opened on wrong ones.
fresh
flip "$RIG_DIR/repo/config" 40
assert_exit 1 holdstill list
assert_contains "$ASSERT_ERR" config

# The next backup lives with a damaged last point: all is read again.
fresh
flip "$RIG_DIR/repo/points/$new" 200
hs_make 3 "$RIG_DIR/ref2"
assert_json "$HS_JSON" '.points[0].kind == "full"'
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref2"
