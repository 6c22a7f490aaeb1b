#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: points of a guest that writes all the time, a full and three
# incrementals, restore to the disks of their instants.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rig_start
rig_guest_create web --disk vda:256M:ext4 --disk vdb:320M:xfs
rig_guest_helper_wait web
dom=$(rig_domain web)
hs_init_repo
rig_guest_writer_start web

# A full point, then incrementals, each with a reference of the same instant:
# of a paused guest, which nobody can freeze, and of a frozen one.
points=()
parent=
for kind in paused frozen paused frozen; do
	n=${#points[@]}
	rig_guest_writes web /mnt/a
	rig_guest_writes web /mnt/b
	if [ "$kind" = paused ]; then
		assert_ok rig_reference_backup web "$RIG_DIR/ref$n" \
		    holdstill backup "$dom"
	else
		assert_ok rig_reference_live web "$RIG_DIR/ref$n" \
		    holdstill backup "$dom"
	fi
	point=$(holdstill show --json "$dom@latest")
	assert_json "$point" ".parent == \"$parent\""
	if [ "$n" = 0 ]; then
		assert_json "$point" '.kind == "full" and
		    all(.disks[]; .source == "full" and .reason != "")'
	else
		assert_json "$point" '.kind == "incremental" and
		    all(.disks[]; .source == "bitmap" and
		    0 < .changed_bytes and .changed_bytes < .size_bytes / 2)'
	fi
	if [ "$kind" = paused ]; then
		assert_json "$point" '.consistency == "crash"'
	else
		assert_json "$point" '.consistency == "filesystem" and
		    .freeze.proved'
	fi
	parent=$(jq -r .id <<<"$point")
	points+=("$parent")
done
assert_eq 4 "$(hs_count web)" points

# No two references are alike: a point that is taken for another is seen.
for n in 1 2 3; do
	for dev in vda vdb; do
		assert_exit 1 rig_disk_compare "$RIG_DIR/ref$((n - 1))/$dev.raw" \
		    "$RIG_DIR/ref$n/$dev.raw"
	done
done

formats=(qcow2 raw raw qcow2)
for n in 3 0 1 2; do
	hs_restore_and_compare "${points[n]}" "$RIG_DIR/ref$n" "${formats[n]}"
	assert_json "$(qemu-img info --output=json \
	    "$HS_RESTORED/vda.${formats[n]}")" ".format == \"${formats[n]}\""
done
assert_ok holdstill verify
assert_ok hs_clean web
