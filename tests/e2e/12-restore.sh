#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a point becomes a machine that boots beside the old one, files or a
# device; and restoring needs neither libvirt nor the state folder.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rig_start
hs_init_repo
dom=$(rig_domain web)
copy=$dom-copy

# A network card, for its address.
rig_guest_create web --disk vda:64M:ext4 --disk vdb:32M:none --xml-only
cat >"$RIG_DIR/card.xml" <<XML
<interface type='user'>
  <mac address='52:54:00:aa:bb:01'/>
  <model type='virtio'/>
  <rom enabled='no'/>
</interface>
XML
virsh -q attach-device "$dom" "$RIG_DIR/card.xml" --config
rig_guest_start web
rig_guest_helper_wait web
rig_guest_exec web 'echo treasure >/mnt/a/chest; sync
    head -c 300000 /dev/urandom | dd of=/dev/vdb bs=64k seek=100 2>/dev/null
    sync'
assert_ok rig_reference_live web "$RIG_DIR/ref" holdstill backup -v "$dom"
rig_guest_exec web 'echo worthless >/mnt/a/chest; sync'

# ---- a machine of it, beside the old one ----

# A name that is taken is found before anything is written.
assert_exit 1 holdstill restore "$dom@latest" --to "$RIG_DIR/taken" --define
assert_contains "$ASSERT_ERR" "domain '$dom' exists"
assert_no_file "$RIG_DIR/taken"

assert_ok holdstill restore "$dom@latest" --to "$RIG_DIR/new" \
    --define "$copy" --start
assert_contains "$ASSERT_OUT" "defined and started as '$copy'"
field() {
	virsh -q dumpxml "$1" | grep -o "$2"
}
assert_eq running "$(virsh -q domstate "$copy")"
assert_eq running "$(virsh -q domstate "$dom")"
assert_ne "$(virsh -q domuuid "$dom")" "$(virsh -q domuuid "$copy")" UUID
assert_ne "$(field "$dom" '<mac .*')" "$(field "$copy" '<mac .*')" MAC

helper_answers() {
	holdstill guest status "$copy" >/dev/null 2>&1
}
rig_wait_for 60 "helper in the restored machine" helper_answers
assert_ok holdstill guest status "$copy"
assert_match "$ASSERT_OUT" '/mnt/a +ext4 +vda +would be frozen'
socket=$(field "$copy" "path='[^']*org.holdstill.test.0'" | cut -d"'" -f2)
in_copy() {
	python3 "$(dirname "$0")/../lib/rig_exec.py" "$socket" 20 "$1" again
}
assert_eq treasure "$(in_copy 'cat /mnt/a/chest')"
assert_eq worthless "$(rig_guest_exec web 'cat /mnt/a/chest')"
# It is a machine like any other: it can be backed up in its turn.
assert_ok holdstill backup "$copy" --require filesystem
virsh -q destroy "$copy"

# ---- single disks ----

assert_ok holdstill restore "$dom@latest" --disk "vdb=$RIG_DIR/b.raw" \
    --format raw
assert_ok rig_disk_compare "$RIG_DIR/b.raw" "$RIG_DIR/ref/vdb.raw"
assert_exit 1 holdstill restore "$dom@latest" --disk "vdb=$RIG_DIR/b.raw"
assert_contains "$ASSERT_ERR" "exists"
assert_ok rig_disk_compare "$RIG_DIR/b.raw" "$RIG_DIR/ref/vdb.raw"
assert_exit 1 holdstill restore "$dom@latest" --to "$RIG_DIR/new"
assert_contains "$ASSERT_ERR" "exists"
assert_exit 1 holdstill restore "$dom@latest" --disk "vdz=$RIG_DIR/z.raw"
assert_contains "$ASSERT_ERR" "no disk 'vdz'"
assert_no_file "$RIG_DIR/z.raw"

# A device that is full of something else, as devices are.
yes | head -c 67108864 >"$RIG_DIR/device"
loop=$(losetup --find --show "$RIG_DIR/device")
assert_exit 1 holdstill restore "$dom@latest" --disk "vda=$loop"
assert_contains "$ASSERT_ERR" "--overwrite"
assert_ok holdstill restore "$dom@latest" --disk "vda=$loop" --overwrite
losetup -d "$loop"
assert_ok cmp "$RIG_DIR/device" "$RIG_DIR/ref/vda.raw"

# ---- after a disaster: no libvirt, no state folder ----

point=$(hs_latest web)
elsewhere() {
	HOLDSTILL_STATE_DIR=$(mktemp -d "$RIG_DIR/state.XXXXXX") \
	    hs_without_libvirt "$@"
}
assert_exit 1 elsewhere virsh -q list
assert_ok elsewhere holdstill list
assert_contains "$ASSERT_OUT" "${point:0:8}"
assert_ok elsewhere holdstill show "$dom@latest"
assert_contains "$ASSERT_OUT" "$point"
assert_ok elsewhere holdstill verify
assert_contains "$ASSERT_OUT" "no damage"
assert_ok elsewhere holdstill restore "$point" --to "$RIG_DIR/disaster"
for dev in vda vdb; do
	assert_ok rig_disk_compare "$RIG_DIR/disaster/$dev.qcow2" \
	    "$RIG_DIR/ref/$dev.raw"
done
assert_exit 1 elsewhere holdstill backup "$dom"
assert_contains "$ASSERT_ERR" "libvirt"
