#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: encrypted repositories with a real guest: full and incremental restore
# to what the guest had, nothing of it can be read without the key, and a host
# of mode public adds points that only the owner reads.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

secret='hold still, says the photographer 4711'

hs_guest --disk vda:64M:ext4
rig_guest_writer_start web
rig_guest_exec web "echo '$secret' >/mnt/a/secret; sync"

# A repository of its own, a state folder with it, opened with $2, the file $3.
use() {
	export HOLDSTILL_REPO=$RIG_DIR/$1 HOLDSTILL_STATE_DIR=$RIG_DIR/$1.state
	unset HOLDSTILL_PASSPHRASE_FILE HOLDSTILL_KEY_FILE
	[ $# = 1 ] || export "$2=$3"
}

no_secret() {
	if grep -rqF "$secret" "$HOLDSTILL_REPO"; then
		fail "the repository $1 can be read by everybody"
	fi
}

points=()
two_points() {
	hs_make 0 "$RIG_DIR/$1.full"
	points=("$HS_POINT")
	hs_assert_disk vda '.source == "full"'
	rig_guest_exec web 'dd if=/dev/urandom of=/mnt/a/more bs=64k count=8 \
	    2>/dev/null; sync'
	hs_make 0 "$RIG_DIR/$1.inc"
	points+=("$HS_POINT")
	hs_assert_disk vda '.source == "bitmap"'
	no_secret "$1"
}

restores() {
	hs_restore_and_compare "${points[0]}" "$RIG_DIR/$1.full"
	hs_restore_and_compare "${points[1]}" "$RIG_DIR/$1.inc"
	assert_ok holdstill verify
}

# In a plain one it is found: the look is one.
hs_make 0 "" --compression none
grep -rqF "$secret" "$HOLDSTILL_REPO" || fail "a secret that is none"

# ---- a passphrase ----

(umask 077 && echo 'correct horse' >"$RIG_DIR/right" &&
    echo 'battery staple' >"$RIG_DIR/wrong")
use secret HOLDSTILL_PASSPHRASE_FILE "$RIG_DIR/right"
assert_ok holdstill init --encrypt passphrase
two_points secret
restores secret
# From the repository alone, and with another key than the first.
assert_ok holdstill key add --new-key-file "$RIG_DIR/second.key"
use secret HOLDSTILL_KEY_FILE "$RIG_DIR/second.key"
rm -rf "$HOLDSTILL_STATE_DIR"
restores secret
use secret HOLDSTILL_PASSPHRASE_FILE "$RIG_DIR/wrong"
assert_exit 1 holdstill list
assert_contains "$ASSERT_ERR" "wrong passphrase"
use secret
assert_exit 1 holdstill list
assert_contains "$ASSERT_ERR" "is encrypted"

# ---- a host that only adds ----

use public HOLDSTILL_KEY_FILE "$RIG_DIR/owner.key"
assert_ok holdstill init --encrypt public-key
assert_ok holdstill key host "$RIG_DIR/host.key"
use public HOLDSTILL_KEY_FILE "$RIG_DIR/host.key"
two_points public
assert_exit 1 holdstill restore "${points[0]}" --to "$RIG_DIR/none"
assert_contains "$ASSERT_ERR" "host key, which adds points and opens nothing"
assert_exit 1 holdstill forget "${points[0]}"
assert_exit 1 holdstill prune
use public HOLDSTILL_KEY_FILE "$RIG_DIR/owner.key"
export HOLDSTILL_STATE_DIR=$RIG_DIR/owner.state
restores public
assert_ok holdstill prune
restores public
# The host goes on where it was.
use public HOLDSTILL_KEY_FILE "$RIG_DIR/host.key"
hs_make 0 ""
hs_assert_disk vda '.source == "bitmap"'
