#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: one wrong byte, or a missing object, anywhere in the repository is
# named with the points it hurts; those are refused, the others restore.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest --disk vda:32M:ext4
new_data='head -c 3000000 /dev/urandom >/mnt/a'
rig_guest_exec web "$new_data/one; sync"
hs_make 0 "$RIG_DIR/ref1"
one=$HS_POINT
find "$HOLDSTILL_REPO" -type f | sort >"$RIG_DIR/of-one"
rig_guest_exec web "$new_data/two; sync"
hs_make 0 "$RIG_DIR/ref2"
two=$HS_POINT
find "$HOLDSTILL_REPO" -type f | sort >"$RIG_DIR/of-both"

# Changes the byte at OFFSET of FILE; the second time changes it back.
flip() {
	python3 - "$1" "$2" <<-'PY'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    f.seek(int(sys.argv[2]))
	    byte = f.read(1)[0]
	    f.seek(int(sys.argv[2]))
	    f.write(bytes([byte ^ 0x10]))
	PY
}

restores() {
	local ref=$RIG_DIR/ref1
	[ "$1" = "$one" ] || ref=$RIG_DIR/ref2

	hs_restore_and_compare "$1" "$ref" >/dev/null
	rm -rf "$HS_RESTORED"
}

refused() {
	assert_exit 1 holdstill -q restore "$1" --to "$RIG_DIR/refused"
	assert_match "$ASSERT_ERR" "$2"
	assert_lines 1 "$(grep -v hint: <<<"$ASSERT_ERR")" "error"
	assert_contains "$ASSERT_ERR" "hint: run 'holdstill verify'"
	assert_eq "" "$(find "$RIG_DIR/refused" -type f 2>/dev/null)" \
	    "files of a refused restore"
}

# verify names OBJECT and nothing else; HURT are the points it names. The one
# that wrote it is refused with SAYING (default: the object's name), those that
# are not named restore. (One that is named may need other parts of it.)
damaged() {
	local object=$1 saying=${2:-$1} point

	assert_exit 1 holdstill verify
	assert_match "$ASSERT_OUT" "^damaged: $object: "
	assert_exit 1 holdstill verify --json
	assert_json "$ASSERT_OUT" '[.verify.damages[].object] | unique |
	    length == 1' "nothing but $object"
	HURT=$(jq -r '.verify.damages[].point | select(. != "")' \
	    <<<"$ASSERT_OUT" | sort -u)
	for point in "$one" "$two"; do
		case $HURT in
		*"$point"*)
			[ "$point" != "$writer" ] ||
			    refused "$point" "$saying"
			;;
		*) restores "$point" ;;
		esac
	done
}

# Who wrote the object: a point that came before does not refer to it.
writer_of() {
	if grep -qxF "$1" "$RIG_DIR/of-one"; then
		echo "$one"
	else
		echo "$two"
	fi
}

while read -r file; do
	object=${file#"$HOLDSTILL_REPO/"}
	writer=$(writer_of "$file")
	flip "$file" 100
	case $object in
	packs/*)
		damaged "$object"
		assert_contains "$HURT" "$writer" "hurt by $object"
		[ "$writer" = "$one" ] || assert_eq "$two" "$HURT"
		mv "$file" "$RIG_DIR/away"
		damaged "$object" "no pack holds|does not exist"
		assert_contains "$HURT" "$writer" "hurt by a missing $object"
		mv "$RIG_DIR/away" "$file"
		flip "$file" 100
		# The pack's own table at its end: the index tells it too.
		last=$(($(stat -c %s "$file") - 1))
		flip "$file" "$last"
		assert_exit 1 holdstill verify
		assert_match "$ASSERT_OUT" "^damaged: $object: "
		restores "$one"
		restores "$two"
		flip "$file" "$last"
		continue
		;;
	index/*)
		# The packs tell it all once more.
		damaged "$object"
		assert_eq "" "$HURT" "hurt by $object"
		;;
	epochs/* | sessions/*)
		# No point needs these.
		damaged "$object"
		assert_eq "" "$HURT" "hurt by $object"
		;;
	points/*)
		damaged "$object"
		assert_eq "${object#points/}" "$HURT" "hurt by $object"
		;;
	config)
		assert_exit 1 holdstill list
		assert_match "$ASSERT_ERR" "object 'config': its checksum is wrong"
		;;
	*) fail "what is $object?" ;;
	esac
	flip "$file" 100
done <"$RIG_DIR/of-both"
assert_ok holdstill verify
restores "$one"
restores "$two"

# With the old manifest damaged the next backup is a full one, and right.
flip "$HOLDSTILL_REPO/points/$two" 100
hs_make 3 "$RIG_DIR/ref3"
hs_assert_disk vda '.source == "full" and
    (.reason | test("the last point cannot be read"))'
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref3"
flip "$HOLDSTILL_REPO/points/$two" 100
restores "$two"
assert_ok holdstill verify
hs_assert_clean "$HS_POINT"
