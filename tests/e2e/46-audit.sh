#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a bitmap that lies - the disk was changed behind QEMU's back - is found
# by the audit of an incremental, which then reads that disk whole, is right,
# says so, and counts it.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
image=$(rig_guest_dir web)/vdc.qcow2
qemu-img create -q -f qcow2 "$image" 16M
chmod 666 "$image"
virsh -q attach-disk "$HS_DOM" "$image" vdc --subdriver qcow2 --live --config
rig_wait_for 20 "vdc in the guest" rig_guest_exec web 'test -b /dev/vdc'
rig_guest_exec web 'head -c 4000000 /dev/urandom >/dev/vdc; sync'
hs_make 0 ""

# Blocks missed, as the history has them.
missed() {
	python3 - "$HOLDSTILL_STATE_DIR/catalog.db" <<-'PY'
	import sqlite3, sys
	print(*sqlite3.connect(sys.argv[1]).execute(
	    "SELECT sum(missed_blocks), sum(audited_blocks) > 0 FROM run").fetchone())
	PY
}

# A bitmap that is true raises no alarm, however many blocks are read.
rig_guest_exec web 'head -c 300000 /dev/urandom >/mnt/a/one; sync'
hs_make 0 "" --audit 1000
assert_json "$HS_JSON" 'all(.points[0].disks[]; .source == "bitmap")'
assert_eq "0 1" "$(missed)" "history"

# Straight into the file, where no bitmap takes note of it.
rig_guest_poweroff web
offset=$(qemu-img map --output=json "$image" |
    jq '[.[] | select(.data and .offset != null)][0].offset')
dd if=/dev/urandom of="$image" bs=65536 count=1 seek=$((offset / 65536)) \
    conv=notrunc status=none
rig_guest_start web
hs_helper_wait web

# Not looked for, it goes unseen: this is what others do.
hs_make 0 "" --audit no
hs_assert_disk vdc '.source == "bitmap" and .read_bytes == 0'

hs_make 3 "$RIG_DIR/ref" --audit 1000
assert_match "$ASSERT_ERR" "'vdc' was read whole: the audit found 1 of "
hs_assert_disk vdc '.source == "full" and (.reason | test("bitmap calls"))'
hs_assert_disk vda '.source == "bitmap"'
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"
assert_eq "1 1" "$(missed)" "history"

hs_make 0 "$RIG_DIR/ref" --audit 1000
assert_json "$HS_JSON" 'all(.points[0].disks[]; .source == "bitmap")'
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"
hs_assert_clean "$HS_POINT"
assert_ok holdstill verify
