#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a backup whose scratch folder fills fails and says so; the guest goes
# on, even where QEMU has stopped it already.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

# QEMU sees only what was mounted before the guest started.
rig_start
hs_init_repo
rig_small_fs scratch 96M
HS_DOM=$(rig_domain web)
rig_guest_create web --disk vda:192M:none --disk vdb:64M:ext4
rig_guest_helper_wait web
scratch=$RIG_DIR/scratch
rig_guest_exec -t 60 web 'dd if=/dev/zero bs=1M count=192 2>/dev/null |
    tr "\0" x >/dev/vda; sync'
hs_make 0 ""
first=$HS_POINT

# Overwrites COUNT MiB of old data while a full backup is stopped; then the
# backup goes on, and must fail in good order.
overwrite() {
	local count=$1 status=0

	hs_hold streaming holdstill backup -v --full \
	    --scratch-dir "$scratch" "$HS_DOM"
	rig_guest_exec -t 1 web "dd if=/dev/zero of=/dev/vda bs=1M \
	    count=$count conv=fsync >/run/dd 2>&1 &"
	rig_wait_for 60 "$2" "${@:3}"
	kill -CONT "$HS_PID"
	hs_wait || status=$?
	assert_eq 1 "$status" "exit status"
	assert_eq "" "$(cat "$HS_STDOUT")" "standard output"
	assert_match "$(cat "$HS_STDERR")" \
	    "scratch space is running out: .* in '$scratch/run-[0-9a-f]*'"
	assert_contains "$(cat "$HS_STDERR")" "hint: free space there"
	assert_ok rig_wait_for 10 "running guest" _rig_domain_is web running
	rig_wait_for 30 "end of the writes" \
	    rig_guest_exec web '! pidof dd >/dev/null'
	assert_contains "$(rig_guest_exec web 'cat /run/dd')" \
	    "$count+0 records out"
	assert_eq "" "$(find "$scratch" -name "run-*")" "scratch"
	hs_assert_clean "$first"
	assert_eq 1 "$(hs_count web)" points
}

scratch_is_low() {
	[ "$(df --output=avail -BM "$scratch" | tail -n 1 | tr -dc 0-9)" -lt 30 ]
}

# Seen in time, and too late: QEMU found the disk full and stopped the guest.
overwrite 72 "low scratch space" scratch_is_low
assert_not_contains "$(rig_guest_exec web 'dmesg')" "I/O error"
overwrite 160 "guest that is stopped" _rig_domain_is web paused
assert_not_contains "$(rig_guest_exec web 'dmesg')" "I/O error"

# Too small from the start.
truncate -s 80M "$scratch/filler" && fallocate -l 80M "$scratch/filler"
assert_exit 1 holdstill backup --scratch-dir "$scratch" "$HS_DOM"
assert_contains "$ASSERT_ERR" "scratch space is running out"
hs_assert_clean "$first"
rm "$scratch/filler"

hs_make 0 "$RIG_DIR/ref" --scratch-dir "$scratch"
assert_json "$HS_JSON" '.points[0].kind == "incremental"'
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref"
