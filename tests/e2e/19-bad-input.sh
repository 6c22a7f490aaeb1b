#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: each mistake of a user gets one clear line, a hint where one helps,
# the right exit code, and nothing on standard output.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
hs_make 0 ""
first=$HS_POINT

# Exit code, a pattern of the line, then the words of the command.
refused() {
	local code=$1 pattern=$2
	shift 2

	assert_exit "$code" holdstill -q "$@"
	assert_eq "" "$ASSERT_OUT" "standard output of '$*'"
	assert_match "$ASSERT_ERR" "$pattern"
	assert_num "$(grep -vc 'hint: ' <<<"$ASSERT_ERR")" -eq 1 \
	    "lines besides the hint of '$*'"
}

# ---- words ----
refused 2 "no command"
refused 2 "unknown command 'bakup'" bakup
assert_contains "$ASSERT_ERR" "did you mean 'backup'"
refused 2 "unknown option '--fulll'" backup --fulll "$HS_DOM"
assert_contains "$ASSERT_ERR" "did you mean '--full'"
refused 2 "lacks an argument" backup
refused 2 "'--require' takes .*, not 'filesytem'" \
    backup "$HS_DOM" --require filesytem
refused 2 "'--lease' takes a number from 1 to 60" \
    backup "$HS_DOM" --lease 61
refused 2 "'--lease' takes a number from 1 to 60" \
    guest freeze-test "$HS_DOM" --lease 61
refused 2 "thaw before" guest freeze-test "$HS_DOM" --lease 5 --hold 5000
refused 2 "'--prefer crash' is less than '--require filesystem'" \
    backup "$HS_DOM" --require filesystem --prefer crash
refused 2 "'--hold' goes with 'guest freeze-test'" \
    guest status "$HS_DOM" --hold 50
refused 2 "nothing would be kept" forget "$HS_DOM" --keep-last 0
refused 2 "goes with '--to DIR'" \
    restore "$HS_DOM@latest" --disk "vda=$RIG_DIR/x.raw" --same-identity
refused 2 "say where to" restore "$HS_DOM@latest"
refused 2 "'--sample' takes a number" verify --sample all

# ---- domains and disks ----
refused 1 "'no-such-machine'" backup no-such-machine
refused 1 "has no disk 'vdx' to exclude" \
    backup "$HS_DOM" --exclude-disk vdx
refused 1 "no point|has no points" restore nobody@latest --to "$RIG_DIR/x"
assert_no_file "$RIG_DIR/x/vda.qcow2"
refused 1 "libvirt" --connect qemu+unix:///system?socket=/nonexistent/sock \
    backup "$HS_DOM"

# ---- repositories ----
refused 1 "repository '/nonexistent/repo'" --repo /nonexistent/repo list
assert_contains "$ASSERT_ERR" "holdstill init --repo"
mkdir "$RIG_DIR/photos"
touch "$RIG_DIR/photos/holiday.jpg"
refused 1 "is no holdstill repository" --repo "$RIG_DIR/photos" \
    backup "$HS_DOM"
refused 1 "not empty|other files|holds" --repo "$RIG_DIR/photos" init
refused 1 "exists|already" init
refused 2 "s3" --repo s3://bucket/prefix list
refused 2 "s3" --repo s3://bucket/prefix init
refused 2 "'ftp' is no known kind" --repo ftp://host/x list

# ---- configuration ----
printf '[repository r]\nurl = /srv/x\nulr = 2\n' >"$RIG_DIR/bad.conf"
refused 2 "bad.conf:3: " --config "$RIG_DIR/bad.conf" list
refused 2 "no-such.conf" --config "$RIG_DIR/no-such.conf" list
head -c 3000 /dev/urandom >"$RIG_DIR/noise.conf"
refused 2 "noise.conf.* is no text file" --config "$RIG_DIR/noise.conf" list
printf '[repository r]\nurl = /srv/x\n' >"$RIG_DIR/good.conf"
refused 2 "job 'nightly'" --config "$RIG_DIR/good.conf" run nightly
refused 2 "'r' is a repository's name" --config "$RIG_DIR/good.conf" \
    --repo r list
assert_contains "$ASSERT_ERR" "/srv/x"
printf '[repository r]\nurl = srv/x\n' >"$RIG_DIR/bad.conf"
refused 2 "bad.conf:2: " --config "$RIG_DIR/bad.conf" list
refused 2 "'--state-dir' takes a path from the root" --state-dir state list
refused 2 "'--scratch-dir' takes a path from the root" \
    backup --scratch-dir scratch "$HS_DOM"
touch "$RIG_DIR/a-file"
refused 1 "a-file" --state-dir "$RIG_DIR/a-file/state" list

# ---- a full disk under the repository ----
small=$RIG_DIR/small
mkdir "$small"
mount -t tmpfs -o size=3m none "$small"
rig_on_exit umount "$small"
assert_ok holdstill --repo "$small/repo" init
rig_guest_exec web 'head -c 1000000 /dev/urandom >/mnt/a/one; sync'
assert_ok holdstill --repo "$small/repo" backup -q "$HS_DOM"
rig_guest_exec web 'head -c 8000000 /dev/urandom >/mnt/a/many; sync'
refused 1 "No space left|no space" --repo "$small/repo" backup "$HS_DOM"

assert_ok hs_clean web
assert_ok holdstill --repo "$small/repo" verify
assert_json "$(holdstill --repo "$small/repo" list --json)" \
    '.points | length == 1'
mount -o remount,size=64m "$small"
assert_ok holdstill --repo "$small/repo" backup -q "$HS_DOM"
assert_json "$(holdstill --repo "$small/repo" show --json "$HS_DOM@latest")" \
    '.kind == "incremental"'

# ---- a domain that is off ----
rig_guest_poweroff web
refused 1 "domain '$HS_DOM' is off" backup "$HS_DOM"
assert_contains "$ASSERT_ERR" "virsh start"

# Nothing of all that hurt the first repository.
assert_eq "$first" "$(hs_latest web)" "latest point"
assert_ok holdstill verify
