#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The test rig itself: guests boot, write and compare, and nothing stays.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

# In a child, so that its end can be looked at from outside.
if [ "${1:-}" != inside ]; then
	out=$(mktemp)
	trap 'rm -f "$out"' EXIT
	status=0
	bash "$0" inside "$out" || status=$?
	[ "$status" = 0 ] || exit "$status"
	read -r dir <"$out"
	assert_ne "" "$dir" "the rig's directory"
	assert_no_file "$dir"
	assert_not_contains "$(cat /proc/mounts)" "$dir"
	assert_not_contains "$(losetup -l)" "$dir"
	assert_not_contains "$(ps -eo args)" "$dir/" "processes"
	exit 0
fi

rig_start
echo "$RIG_DIR" >"$2"
started=$(date +%s%N)
rig_guest_create one &
create=$!
rig_guest_create two --disk vda:64M:ext4 --disk vdb:64M:none:raw
wait "$create"
echo "two guests in $((($(date +%s%N) - started) / 1000000)) ms ($RIG_ACCEL)"

# Commands: output, error and status come back.
assert_exit 3 rig_guest_exec one 'echo out; echo err >&2; exit 3'
assert_eq out "$ASSERT_OUT"
assert_eq err "$ASSERT_ERR"
assert_exit 124 rig_guest_exec -t 0.5 one 'sleep 2'
assert_eq two "$(rig_guest_exec two hostname)"
assert_eq 100000 "$(rig_guest_exec one 'yes | head -c 100000' | wc -c)"
mounts=$(rig_guest_exec one 'cat /proc/mounts')
assert_match "$mounts" '/dev/vda /mnt/a ext4 rw'
assert_match "$mounts" '/dev/vdb /mnt/b xfs rw'
assert_eq hs-vdb "$(rig_guest_exec one 'cat /sys/block/vdb/serial')"

# The writer shows a freeze; without one its gaps are short.
rig_guest_writer_start one
rig_guest_exec one 'fsfreeze --freeze /mnt/b'
assert_ok rig_guest_writes one /mnt/a
assert_exit 1 rig_guest_writes one /mnt/b 1
rig_guest_exec one 'fsfreeze --unfreeze /mnt/b'
assert_ok rig_guest_writes one /mnt/b
assert_num "$(rig_guest_write_max_gap one /mnt/b reset)" -ge 1000

# Two references of one instant are equal, and what QEMU itself reads is the
# same; after more writes they differ. A mounted ext4 needs recovery.
dom=$(rig_domain one)
virsh -q suspend "$dom"
rig_reference_image one "$RIG_DIR/ref1"
rig_reference_image one "$RIG_DIR/ref2"
qmp() {
	virsh -q qemu-monitor-command "$dom" "$1"
}
sock=$(rig_guest_dir one)/live.sock
qmp '{"execute":"nbd-server-start","arguments":{"addr":
    {"type":"unix","data":{"path":"'"$sock"'"}}}}' >/dev/null
for dev in vda vdb; do
	assert_ok rig_disk_compare "$RIG_DIR"/ref[12]/$dev.raw
	node=$(qmp '{"execute":"query-block"}' | jq -r '.return[] |
	    select(.inserted.file | endswith("/'$dev'.qcow2")) |
	    .inserted["node-name"]')
	qmp '{"execute":"nbd-server-add","arguments":{"device":"'"$node"'",
	    "name":"'$dev'"}}' | assert_contains "$(cat)" '"return"'
	assert_ok qemu-img compare -f raw -F raw "$RIG_DIR/ref1/$dev.raw" \
	    "nbd+unix:///$dev?socket=$sock"
done
qmp '{"execute":"nbd-server-stop"}' >/dev/null
virsh -q resume "$dom"
rig_guest_writes one /mnt/a
rig_guest_writes one /mnt/b
rig_guest_exec one sync
rig_reference_image one "$RIG_DIR/ref3"
for dev in vda vdb; do
	assert_exit 1 rig_disk_compare "$RIG_DIR"/ref[13]/$dev.raw
done
assert_ok rig_ext4_needs_recovery "$RIG_DIR/ref3/vda.raw"

# The same around a backup job of libvirt's own, while the guest writes.
cat >"$RIG_DIR/backup.xml" <<XML
<domainbackup mode='pull'><server transport='unix'
 socket='$(rig_guest_dir one)/job.sock'/></domainbackup>
XML
backup_pull() {
	virsh -q backup-begin "$dom" "$RIG_DIR/backup.xml" >/dev/null
	rig_wait_for 20 "guest to run" _rig_domain_is one running
	rig_guest_writes one /mnt/a
	_rig_copy_export "$dom" "$RIG_DIR/export"
	virsh -q domjobabort "$dom"
}
assert_ok rig_reference_backup one "$RIG_DIR/ref4" backup_pull
for dev in vda vdb; do
	assert_ok rig_disk_compare "$RIG_DIR"/{ref4,export}/$dev.raw
done

# A reboot and a clean power-off.
rig_guest_writer_stop one
assert_ok rig_guest_reboot one
assert_ok rig_guest_poweroff one
assert_exit 1 rig_ext4_needs_recovery "$(rig_guest_dir one)/vda.qcow2"
rig_small_fs small 8M
assert_contains "$(losetup -l)" "$RIG_DIR/small.fs"
