#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: when the tracking of a disk's changes is lost, the next backup reads
# that disk whole, and only that one, says why, and is right.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
round=0

change() {
	round=$((round + 1))
	rig_guest_exec web "for d in /mnt/a /mnt/b; do
		echo $round >\$d/round; head -c 300000 /dev/urandom >\$d/r$round
	done; sync"
}

# A backup that exits with STATUS, of these full and bitmap DISKs; exact, and
# the one after it is incremental again.
check() {
	local status=$1 full=$2 bitmap=$3 dev

	change
	hs_make "$status" "$RIG_DIR/ref"
	for dev in $full; do
		hs_assert_disk "$dev" '.source == "full" and .reason != ""'
		[ "$status" = 0 ] ||
			assert_match "$ASSERT_ERR" "'$dev' was read whole: "
	done
	for dev in $bitmap; do
		hs_assert_disk "$dev" '.source == "bitmap" and .reason == ""'
	done
	hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"
	lost=$HS_JSON
	change
	hs_make 0 ""
	assert_json "$HS_JSON" 'all(.points[0].disks[]; .source == "bitmap")'
	hs_assert_clean "$HS_POINT"
	HS_JSON=$lost
}

check 0 "vda vdb" ""
hs_assert_disk vda '.reason | test("first backup")'

# Somebody deletes what libvirt knows of the checkpoint.
virsh -q checkpoint-delete --metadata "$HS_DOM" "$(hs_checkpoints)"
check 3 "vda vdb" ""
hs_assert_disk vda '.reason | test("does not exist")'

# A disk grows while the guest runs.
virsh -q blockresize "$HS_DOM" vda 112M
check 3 vda vdb
hs_assert_disk vda '.reason | test("resized from 100663296 to 117440512")'

# A disk is added: nothing was lost, so nothing is demoted.
qemu-img create -q -f qcow2 "$(rig_guest_dir web)/vdc.qcow2" 16M
chmod 666 "$(rig_guest_dir web)/vdc.qcow2"
virsh -q attach-disk "$HS_DOM" "$(rig_guest_dir web)/vdc.qcow2" vdc \
    --subdriver qcow2 --live --config
rig_guest_exec web 'head -c 2000000 /dev/urandom >/dev/vdc; sync'
check 0 vdc "vda vdb"
hs_assert_disk vdc '.reason | test("does not have this disk")'

# While the guest is off, one disk loses its bitmap, another becomes another
# file; the third has kept its bitmap.
rig_guest_poweroff web
qemu-img bitmap --remove "$(rig_guest_dir web)/vda.qcow2" "$(hs_checkpoints)"
mv "$(rig_guest_dir web)/vdb.qcow2" "$(rig_guest_dir web)/moved.qcow2"
virsh -q dumpxml --inactive "$HS_DOM" | sed 's/vdb\.qcow2/moved.qcow2/' \
    >"$RIG_DIR/moved.xml"
virsh -q define "$RIG_DIR/moved.xml"
rig_guest_start web
check 3 "vda vdb" vdc
hs_assert_disk vda '.reason | test("bitmap .* missing or not consistent")'
hs_assert_disk vdb '.reason | test("another file .*moved.qcow2")'

hs_make 0 "$RIG_DIR/ref"
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"

# The guest's QEMU dies: no bitmap reached the disks.
kill -9 "$(cat "/run/libvirt/qemu/$HS_DOM.pid")"
rig_wait_for 10 "end of QEMU" _rig_domain_is web "shut off"
rig_guest_start web
check 3 "vda vdb vdc" ""
hs_assert_disk vdc '.reason | test("bitmap .* missing or not consistent")'

# Of all those lost bitmaps none stays in the images.
rig_guest_poweroff web
for image in "$(rig_guest_dir web)"/*.qcow2; do
	assert_eq "$(hs_checkpoints)" "$(qemu-img info --output=json "$image" |
	    jq -r '."format-specific".data.bitmaps[]?.name')" "bitmaps of $image"
done
assert_ok holdstill verify
