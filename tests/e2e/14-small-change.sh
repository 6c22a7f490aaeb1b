#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what an incremental stores follows the change: 100 scattered 4 KiB
# writes on a 4 GiB disk cost less than 100 blocks and 1 MiB.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

writes=100
block=65536

rig_start
rig_guest_create web --no-channel --disk vda:4G:none
hs_init_repo

# $1 bytes that do not compress, into each of the places, one in every 40 MiB
# or so, at an odd place in its block. No file system: nothing else changes.
write_scattered() {
	rig_guest_exec -t 120 web "
		i=0
		while [ \$i -lt $writes ]; do
			dd if=/dev/urandom of=/dev/vda bs=$1 count=1 \
			    conv=notrunc seek=\$(((i * 10007 * 4096 + $2) / $1)) \
			    2>/dev/null || exit 1
			i=\$((i + 1))
		done
		sync"
}

# Whole blocks first: a block that is stored anew is 64 KiB of noise, not one
# page between zeros.
write_scattered $block 0
full=$RIG_DIR/full.json
assert_ok hs_backup web "$full"
assert_eq full "$(hs_point "$full" .kind)"

# The same places, of which each block is changed once.
write_scattered 4096 0
rig_reference_image web "$RIG_DIR/ref"
small=$RIG_DIR/small.json
assert_ok hs_backup web "$small"
hs_point "$small" '.disks[0]'
assert_eq bitmap "$(hs_point "$small" '.disks[0].source')"
for what in changed_bytes read_bytes new_bytes; do
	assert_eq $((writes * block)) "$(hs_point "$small" ".disks[0].$what")" \
	    "$what"
done
stored=$(hs_point "$small" '.disks[0].stored_bytes')
assert_num "$stored" -lt $((writes * block + 1048576)) "stored bytes"
assert_num "$stored" -ge $((writes * block)) "noise does not compress"

# What the repository grew by is the truth behind the figure.
repo_bytes() {
	find "$HOLDSTILL_REPO" -type f -printf '%s\n' |
	    awk '{ sum += $1 } END { print sum }'
}

# Nothing changed: nothing is read, nothing is stored but the point itself.
before=$(repo_bytes)
assert_ok hs_backup web "$RIG_DIR/same.json"
assert_eq 0 "$(hs_point "$RIG_DIR/same.json" '.disks[0].changed_bytes')"
assert_num $(($(repo_bytes) - before)) -lt 65536 "growth by an empty point"

hs_restore_and_compare "$(hs_point "$small")" "$RIG_DIR/ref"
hs_restore_and_compare "$(hs_point "$RIG_DIR/same.json")" "$RIG_DIR/ref"
