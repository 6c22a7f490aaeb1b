#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a backup that is interrupted ends within two seconds and leaves
# nothing; progress is for terminals only.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

hs_guest
rig_guest_writer_start web
hs_make 0 ""
first=$HS_POINT

# Stopped at STEP, told to end by SIGNAL, let go: it leaves nothing. took is
# how many milliseconds it needed.
interrupt() {
	local step=$1 signal=$2 start status=0

	hs_hold "$step" env --default-signal=INT \
	    holdstill backup -v "$HS_DOM"
	start=$(date +%s%N)
	kill "-$signal" "$HS_PID"
	kill -CONT "$HS_PID"
	hs_wait || status=$?
	took=$((($(date +%s%N) - start) / 1000000))
	assert_eq 1 "$status" "exit status after SIG$signal at '$step'"
	assert_eq "" "$(cat "$HS_STDOUT")" "standard output"
	assert_contains "$(cat "$HS_STDERR")" "stopped by signal"
	assert_ok rig_guest_writes web /mnt/a 1
	assert_ok rig_guest_writes web /mnt/b 1
	hs_assert_clean "$first"
}

# Gone within two seconds; a busy machine may need longer, but not each time.
interrupt_quickly() {
	local try

	for ((try = 0; try < 4; try++)); do
		interrupt "$@"
		[ "$took" -ge 2000 ] || return 0
		rig_say "$took ms from SIG$2 at '$1' to the end"
	done
	fail "never within two seconds of SIG$2 at '$1'"
}

for step in "hold still" streaming; do
	interrupt_quickly "$step" INT
	interrupt_quickly "$step" TERM
done
assert_eq 1 "$(hs_count web)" points
hs_make 0 ""
assert_json "$HS_JSON" '.points[0].kind == "incremental"'

# On a terminal: bytes, rate and time left, in a line that is taken away.
rig_guest_writer_stop web
rig_guest_exec web 'head -c 8000000 /dev/urandom >/mnt/a/noise; sync'
assert_ok "$RIG_LIB/rig_tty.py" streaming holdstill backup "$HS_DOM"
bytes='[0-9.]+ [KM]iB'
assert_match "$ASSERT_OUT" \
    "vda +[0-9]+% +all +[0-9]+% +$bytes of 160.0 MiB +$bytes/s +[0-9].* left"
assert_contains "$ASSERT_OUT" $'\r\e[K'
assert_not_contains "${ASSERT_OUT##*$'\r\e[K'}" "%" "what is left of the line"

# Elsewhere none.
hs_hold streaming holdstill backup -v "$HS_DOM"
kill -CONT "$HS_PID"
hs_wait
assert_not_contains "$(cat "$HS_STDERR")" "%"
assert_not_contains "$(cat "$HS_STDERR")" $'\r'
