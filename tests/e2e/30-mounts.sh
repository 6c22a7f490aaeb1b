#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what lies on the disks of a backup is frozen and nothing else, by
# whatever a disk is known; what cannot be frozen is named.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"
# shellcheck source=tests/lib/rig_stack.sh
. "$(dirname "$0")/../lib/rig_stack.sh"

rig_stack_start
hs_init_repo
dom=$(rig_domain web)
dir=$(rig_guest_dir web)

# Known by their way on the bus, behind a bridge each (vda, vdd), by a serial
# number (vdb, vdc) and by a WWN (sda).
rig_guest_create web --memory 384 --xml-only --disk vda:64M:ext4 \
    --disk vdb:64M:ext4 --disk vdc:16M:none --disk vdd:16M:none \
    --disk sda:16M:ext4
virsh -q undefine "$dom"
sed -i -e "s/machine='pc'/machine='q35'/" \
    -e '/<serial>hs-vd[ad]</d' \
    -e "s/dev='sda' bus='virtio'/dev='sda' bus='scsi'/" \
    -e 's|<serial>hs-sda</serial>|<wwn>5000c50015ea71ad</wwn>|' \
    -e "s|<memballoon|<controller type='scsi' model='virtio-scsi'/>&|" \
    -e 's/,sda:ext4[^, <]*//' "$dir/domain.xml"
virsh -q define "$dir/domain.xml"
assert_match "$(virsh -q dumpxml "$dom")" "type='pci'.*bus='0x0[1-9]'"
rig_guest_start web
# shellcheck disable=SC2016 # expanded in the guest
rig_guest_exec -t 60 web '
	set -e
	for m in virtio_scsi sd_mod dm_mod vfat loop; do modprobe $m; done
	i=0
	until [ -b /dev/sda ]; do
		i=$((i + 1)); [ $i -lt 100 ]; usleep 50000
	done
	mkdir -p /mnt/s /mnt/v
	mount -t ext4 /dev/sda /mnt/s
	printf "%s\n" "0 16384 linear /dev/vdc 2048" \
	    "16384 16384 linear /dev/vdd 2048" |
	    dmsetup create both --noudevsync
	dmsetup mknodes both
	/sbin/mke2fs -q -F -t ext4 -b 1024 -J size=1 /dev/mapper/both
	mount -t ext4 /dev/mapper/both /mnt/v'
rig_guest_helper_wait web
rig_stack_watch web /mnt/a /mnt/b /mnt/s /mnt/v

# back_up STATUS FILTER [OPTION...]: the point's freeze fits jq's FILTER.
back_up() {
	local status=$1 filter=$2
	shift 2

	assert_exit "$status" holdstill backup --json "$@" "$dom"
	assert_json "$ASSERT_OUT" ".points[0] | $filter"
	rig_stack_writes web || fail "a file system is left frozen"
}

# skipped MOUNT-POINT REASON, frozen MOUNT-POINT DISK: words of a filter.
skipped() {
	echo "any(.freeze.filesystems[]; .mount_point == \"$1\" and
	    .state == \"skipped\" and .reason == \"$2\")"
}
frozen() {
	echo "any(.freeze.filesystems[]; .mount_point == \"$1\" and
	    .state == \"frozen\" and .disk == \"$2\")"
}
still='.consistency == "filesystem" and .consistency_reason == ""'
out="its disk is not in this backup"

# Each disk is known by something: nothing is frozen for want of knowledge.
back_up 0 "$still and $(frozen /mnt/a vda) and $(frozen /mnt/b vdb) and
    $(frozen /mnt/s sda) and
    any(.freeze.filesystems[]; .disk == \"vdc,vdd\" or .disk == \"vdd,vdc\")"
back_up 0 "$still and $(frozen /mnt/a vda) and $(skipped /mnt/b "$out") and
    $(skipped /mnt/s "$out") and $(skipped /mnt/v "$out")" \
    --exclude-disk vdb --exclude-disk sda --exclude-disk vdc \
    --exclude-disk vdd
# What is not frozen goes on being written.
begin=$(jq '.points[0].freeze.end_ns' <<<"$ASSERT_OUT")
end=$(jq '.points[0].freeze.thaw_ns' <<<"$ASSERT_OUT")
assert_match "$(rig_stack_within web "$begin" "$end")" '^[1-9].* /mnt/b$'
assert_match "$(rig_stack_within web "$begin" \
    $(((begin + end) / 2)))" '^0 .* /mnt/a$'

# By its WWN alone; and a volume that is in the backup by half.
back_up 0 "$still and $(frozen /mnt/s sda) and $(frozen /mnt/v vdd) and
    $(skipped /mnt/a "$out") and $(skipped /mnt/b "$out")" \
    --exclude-disk vda --exclude-disk vdb --exclude-disk vdc

# What somebody else froze is theirs, and no proof of ours.
rig_guest_exec web 'fsfreeze --freeze /mnt/b'
assert_exit 3 holdstill backup --json --prefer filesystem "$dom"
assert_json "$ASSERT_OUT" '.points[0] | .consistency == "crash" and
    (.consistency_reason | test("already frozen by somebody else"))'
assert_ok rig_guest_exec web 'fsfreeze --unfreeze /mnt/b'
assert_ok rig_stack_writes web

# Mounted in another namespace after the plan was made, by a writer that is
# told to freeze: not proved.
# shellcheck disable=SC2016 # expanded in the guest
rig_guest_exec web '
	dd if=/dev/zero of=/mnt/a/late.img bs=1M count=4 2>/dev/null
	/sbin/mke2fs -q -F -t ext4 /mnt/a/late.img
	losetup /dev/loop0 /mnt/a/late.img
	mkdir -p /mnt/late /etc/holdstill/writers.d
	cat >/etc/holdstill/writers.d/late <<-"END"
		#!/bin/sh
		while read -r word rest; do
			[ "$word" != freeze ] || [ -s /run/rig/late ] ||
				setsid unshare -m --propagation private sh -c "
				mount -t ext4 /dev/loop0 /mnt/late
				echo up >/run/rig/late
				exec sleep 1000000" >/dev/null 2>&1 </dev/null &
			[ "$word" != freeze ] ||
				until [ -s /run/rig/late ]; do usleep 20000; done
			echo ok
		done
	END
	chmod 755 /etc/holdstill/writers.d/late'
back_up 3 '.consistency == "crash" and (.consistency_reason |
    test("/mnt/late .in the mount namespace of pid"))' --prefer application
rig_guest_exec web 'rm /etc/holdstill/writers.d/late'
# The next one knows it, and that it is a file on vda.
back_up 0 "$still and any(.freeze.filesystems[]; .state == \"frozen\" and
    .disk == \"vda\" and (.mount_point | startswith(\"/mnt/late (in\")))"

# The owner's word.
rig_guest_exec web '
	mkdir -p /etc/holdstill
	printf "[filesystems]\nskip = /mnt/b\ncontainers = no\n" \
	    >/etc/holdstill/guest.conf
	killall -9 holdstill-guest 2>/dev/null || true'
rig_guest_helper_wait web
back_up 0 "$still and $(skipped /mnt/b "disabled in guest.conf") and
    $(frozen /mnt/a vda) and
    all(.freeze.filesystems[]; .mount_point | test(\"late\") | not)"
