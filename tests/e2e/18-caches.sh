#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: catalog and local index are caches: deleted or garbled, the next
# command works as before.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
hs_make 0 "$RIG_DIR/ref0"
first=$HS_POINT
index=$(find "$HOLDSTILL_STATE_DIR" -name data.mdb)
assert_file "$index"
catalog=$HOLDSTILL_STATE_DIR/catalog.db

# All caches gone: the next backup knows its base, its blocks, its points.
rm -rf "$catalog"* "$(dirname "$index")"
assert_eq 1 "$(hs_count web)" "points without a catalog"
hs_make 0 ""
assert_json "$HS_JSON" ".points[0].parent == \"$first\" and
    .points[0].kind == \"incremental\""
assert_eq 2 "$(hs_count web)" points

# A full finds its blocks known, also when their index was lost.
rm -rf "$(dirname "$index")"
hs_make 0 "" --full
assert_json "$HS_JSON" 'all(.points[0].disks[]; .new_bytes < 4000000)'

# Garbled: said once, set aside, made anew.
head -c 40000 /dev/urandom >"$catalog"
head -c 40000 /dev/urandom >"$index"
assert_ok holdstill list
assert_contains "$ASSERT_ERR" "catalog"
assert_eq 3 "$(hs_count web)" "points of a new catalog"
hs_make 0 "$RIG_DIR/ref3"
assert_json "$HS_JSON" '.points[0].kind == "incremental"'

# A catalog that tells of points that are not there, and lacks others.
cp -r "$HOLDSTILL_STATE_DIR" "$RIG_DIR/old-state"
assert_ok holdstill forget "$first"
hs_make 0 "$RIG_DIR/ref4"
rm -rf "$HOLDSTILL_STATE_DIR"
mv "$RIG_DIR/old-state" "$HOLDSTILL_STATE_DIR"
assert_eq "$HS_POINT" "$(hs_latest web)" "latest point of an old catalog"
assert_exit 1 holdstill show "$first"

assert_ok holdstill catalog rebuild --json
assert_json "$ASSERT_OUT" '.catalog.added == 4 and .catalog.damaged == 0'
hs_restore_and_compare "$HS_DOM@-1" "$RIG_DIR/ref3"
hs_restore_and_compare "$HS_DOM@latest" "$RIG_DIR/ref4"
assert_ok holdstill verify
