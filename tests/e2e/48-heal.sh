#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: damaged blocks are mapped to ranges, taken out of use, marked, saved
# around, and healed by the next incremental, though the bitmap calls them
# clean; then the old points restore again.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest --disk vda:32M:ext4
rig_guest_exec web 'head -c 6000000 /dev/urandom >/mnt/a/one; sync'
hs_make 0 "$RIG_DIR/ref1"
one=$HS_POINT

pack=$(find "$HOLDSTILL_REPO/packs" -type f -printf '%s %p\n' |
    sort -n | tail -n 1 | cut -d ' ' -f 2)
dd if=/dev/urandom of="$pack" bs=4096 count=1 seek=500 conv=notrunc status=none

assert_exit 1 holdstill verify --ranges
assert_match "$ASSERT_OUT" "^hurt: point ${one:0:8} disk vda: "
assert_match "$ASSERT_OUT" "^  bytes [0-9]+ to [0-9]+"
assert_exit 1 holdstill repair --dry-run
assert_exit 3 holdstill repair
assert_match "$ASSERT_OUT" "^marked: point ${one:0:8} disk vda: "
assert_json "$(holdstill list --json)" 'all(.points[]; .damaged)'

assert_exit 1 holdstill restore "$one" --to "$RIG_DIR/refused"
assert_contains "$ASSERT_ERR" "--salvage"
assert_exit 3 holdstill restore "$one" --to "$RIG_DIR/saved" --format raw \
    --salvage
assert_match "$ASSERT_OUT" "could not be read and are zeros"
# What differs from the disk lies within the ranges that are told: zeros.
python3 - "$RIG_DIR/saved/vda.raw" "$RIG_DIR/ref1/vda.raw" <<'PY'
import sys
saved, ref = (open(f, "rb").read() for f in sys.argv[1:])
assert len(saved) == len(ref)
differ = [i for i in range(0, len(ref), 65536)
          if saved[i:i + 65536] != ref[i:i + 65536]]
assert differ
assert not any(saved[i:i + 65536].strip(b"\0") for i in differ)
PY

# Nothing that was lost has changed in the guest.
rig_guest_exec web 'echo two >/mnt/a/two; sync'
hs_make 0 "$RIG_DIR/ref2"
hs_assert_disk vda '.source == "bitmap" and .new_bytes > 0'
assert_ok holdstill verify
assert_match "$ASSERT_OUT" "lack nothing any more"
hs_restore_and_compare "$one" "$RIG_DIR/ref1"
rm -rf "$HS_RESTORED"
hs_restore_and_compare "$HS_POINT" "$RIG_DIR/ref2"
