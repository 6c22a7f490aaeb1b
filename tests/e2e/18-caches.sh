#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the catalog and the local index are caches: with either gone or
# garbage, the next command works as before.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest --disk vda:32M:ext4
hs_make 0 ""
state=$HOLDSTILL_STATE_DIR
index=$(find "$state" -name data.mdb)
list=
change=0

remove_catalog() {
	rm "$state"/catalog.db*
}

remove_index() {
	rm -r "$(dirname "$index")"
}

remove_state() {
	rm -r "$state"
}

garble_catalog() {
	head -c 20000 /dev/urandom >"$state/catalog.db"
}

garble_index() {
	head -c 20000 /dev/urandom >"$index"
}

cut_catalog() {
	truncate -s 5000 "$state/catalog.db"
}

cut_index() {
	truncate -s 5000 "$index"
}

# After DAMAGE reading commands say what they said, and a backup is as
# incremental as one without damage: what is known is not stored again.
for damage in remove_catalog remove_index remove_state \
    garble_catalog garble_index cut_catalog cut_index; do
	change=$((change + 1))
	rig_guest_exec web "
		head -c 1000000 /dev/urandom >/mnt/a/$change; sync"
	list=$(holdstill list --json)
	"$damage"
	assert_eq "$list" "$(holdstill list --json)" "list after $damage"
	"$damage"
	hs_make 0 "$RIG_DIR/ref"
	hs_assert_disk vda '.source == "bitmap" and
	    .stored_bytes < 2 * 1000000'
	"$damage"
	hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"
	rm -rf "$HS_RESTORED"
	hs_assert_clean "$HS_POINT"
done
assert_ok holdstill verify

# Known blocks are known still: a full reads all and stores next to nothing.
remove_index
hs_make 0 "" --full
hs_assert_disk vda '.source == "full" and .read_bytes > 7000000 and
    .stored_bytes < 500000'

# Rebuilt by hand, from the repository alone.
list=$(holdstill list --json)
garble_catalog
assert_ok holdstill catalog rebuild
assert_contains "$ASSERT_OUT" "9 points added"
assert_eq "$list" "$(holdstill list --json)" "list of a rebuilt catalog"
