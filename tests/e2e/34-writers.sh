#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a point says of the guest's writers what they did, "application" is
# said only when it is so, and a writer hears "committed" of each point that
# there is, sooner or later, and of no other.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

check=$(dirname "$0")/../lib/check_json.py

# A writer that logs what it hears and does what the test says: files NAME.STEP
# in /run/rig/w hold "fail WHY", "hang" or "exit". Nothing of it needs a disk.
writer() {
	rig_guest_exec web "
		mkdir -p /etc/holdstill/writers.d /run/rig/w
		cat >/etc/holdstill/writers.d/$1 <<'WRITER'
#!/bin/sh
while read -r word rest; do
	echo \"\$word \$rest\" >>/run/rig/w/$1.log
	[ \"\$word\" != meta ] || continue
	[ \"\$word\" != freeze ] || echo \"meta position $2\"
	read -r todo </run/rig/w/$1.\$word || todo=ok
	case \$todo in
	hang) sleep 1000 ;;
	exit) exit 3 ;;
	*) echo \"\$todo\" ;;
	esac
done 2>/dev/null
WRITER
		chmod 755 /etc/holdstill/writers.d/$1"
}

# does NAME STEP WHAT; then forget NAME STEP.
does() {
	rig_guest_exec web "echo '$3' >/run/rig/w/$1.$2"
}

behave() {
	rig_guest_exec web 'rm -f /run/rig/w/*.*'
}

heard() {
	rig_guest_exec web "cat /run/rig/w/$1.log 2>/dev/null; true"
}

# The helper is away until helper_comes.
helper_goes() {
	rig_guest_exec web 'mv /usr/sbin/holdstill-guest /root/
		killall -q -KILL holdstill-guest; true'
	rig_wait_for 10 "the helper to end" helper_is_gone
}

helper_is_gone() {
	! rig_guest_exec web 'pidof holdstill-guest' >/dev/null
}

helper_comes() {
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec web 'mv /root/holdstill-guest /usr/sbin/
		for p in $(pidof sleep); do
			[ "$(cat /proc/$p/stat | cut -d" " -f4)" != 1 ] ||
			    kill $p
		done; true'
	hs_helper_wait web
}

helper_again() {
	helper_goes
	helper_comes
}

# point STATUS LEVEL FILTER OPTION...: a backup whose point is so.
point() {
	local status=$1 level=$2 filter=$3
	shift 3

	hs_make "$status" "" "$@"
	"$check" backup <<<"$HS_JSON" || fail "JSON: $HS_JSON"
	assert_json "$HS_JSON" ".points[0] |
	    .consistency == \"$level\" and .freeze.proved and ($filter)"
}

assert_state() {
	assert_ok holdstill --json guest writers "$HS_DOM"
	"$check" guest-writers <<<"$ASSERT_OUT" || fail "JSON: $ASSERT_OUT"
	assert_json "$ASSERT_OUT" \
	    ".guest_writers.writers[] | select(.name == \"$1\") | $2"
}

assert_owed() {
	assert_ok holdstill --json recover
	assert_json "$ASSERT_OUT" ".recover.owed == $1"
}

# A backup whose end the guest's helper does not hear; then it is away.
unheard_point() {
	local status=0

	hs_hold "streaming" holdstill backup -v "$HS_DOM"
	# Mute and not gone: while a backup runs, libvirt 9.0 stands still for
	# a minute over a channel that closes and opens.
	rig_guest_exec web 'killall -STOP holdstill-guest'
	kill -CONT "$HS_PID"
	hs_wait || status=$?
	helper_goes
	[ "$status" = 0 ] ||
	    fail "a backup whose commit is not heard: $(cat "$HS_STDERR")"
	HS_POINT=$(hs_latest web)
}

hs_guest --disk vda:64M:ext4
writer ledger 41
writer cache 7
rig_guest_exec web 'printf "[writer cache]\nrequired = no\n" \
    >/etc/holdstill/guest.conf'
helper_again
rig_guest_writer_start web

# ---- all is well ----

assert_ok holdstill guest status "$HS_DOM"
assert_match "$ASSERT_OUT" 'ledger +required stable'
assert_match "$ASSERT_OUT" 'cache +optional stable'
assert_ok holdstill guest freeze-test "$HS_DOM"
assert_match "$ASSERT_OUT" 'application, held for .* proved'
assert_match "$ASSERT_OUT" 'ledger +required thawed'
assert_contains "$ASSERT_OUT" "position 41"
assert_not_contains "$(heard ledger)" committed

behave
point 0 application '.consistency_reason == "" and (.freeze |
    .begin_ns > 0 and .begin_ns <= .end_ns and .end_ns <= .thaw_ns) and
    (.freeze.writers | sort_by(.name) | map([.name, .state, .required,
    .reason, .meta.position])) == [["cache", "thawed", false, "", "7"],
    ["ledger", "thawed", true, "", "41"]]' --require application
assert_match "$(heard ledger | tr '\n' ' ')" \
    "^prepare [0-9a-f]{32} freeze  thaw  meta position 41 committed $HS_POINT"
assert_ok holdstill show "$HS_POINT"
assert_match "$ASSERT_OUT" 'writer ledger +thawed'
assert_contains "$ASSERT_OUT" "position 41"
assert_state ledger '.state == "committed" and .last_error == "" and
    .last_error_time == null'

# What is not wanted is not asked.
behave
point 0 filesystem '.freeze.writers == []' --prefer filesystem
assert_eq "" "$(heard ledger)"

# ---- one fails ----

does ledger freeze 'fail the books do not balance'
point 3 filesystem '(.consistency_reason | test("ledger.*do not balance")) and
    any(.freeze.writers[]; .name == "ledger" and .state == "failed" and
	(.reason | test("do not balance")))'
assert_contains "$ASSERT_ERR" "do not balance"
assert_not_contains "$(heard ledger)" committed
assert_contains "$(heard cache)" "committed $HS_POINT"
assert_state ledger '.state == "failed" and .required and
    (.last_error | test("do not balance")) and .last_error_time >= .since'
assert_ok holdstill guest writers "$HS_DOM"
assert_match "$ASSERT_OUT" 'last error +the books do not balance \(20'
assert_exit 3 holdstill guest freeze-test "$HS_DOM"

# What cannot be reached is not frozen for.
behave
does ledger prepare 'fail nobody at home'
points=$(hs_count web)
assert_exit 1 holdstill backup "$HS_DOM" --require application
assert_contains "$ASSERT_ERR" "'ledger' failed: nobody at home"
assert_not_contains "$(heard cache)" freeze
assert_contains "$(heard cache)" abort
assert_eq "$points" "$(hs_count web)" points
hs_assert_clean "$(hs_latest web)"
behave
does ledger freeze 'fail too late to know'
assert_exit 1 holdstill backup "$HS_DOM" --require application
assert_contains "$ASSERT_ERR" "too late to know"
assert_eq "$points" "$(hs_count web)" points
assert_not_contains "$(heard cache)" committed

# An optional one costs nothing.
behave
does cache freeze 'fail cold'
point 0 application 'any(.freeze.writers[]; .name == "cache" and
    .state == "failed" and .reason == "cold") and
    any(.freeze.writers[]; .name == "ledger" and .reason == "")'

# One that hangs or dies is contained, and the guest writes on.
for way in hang exit; do
	behave
	does ledger freeze "$way"
	point 3 filesystem '.consistency_reason | test("ledger")'
	assert_ok rig_guest_writes web /mnt/a
done
behave
does ledger thaw hang
point 3 filesystem '.consistency_reason | test("ledger")'
assert_ok rig_guest_writes web /mnt/a

# ---- committed ----

# Not of a backup that is stopped after the thaw, nor of one that is killed.
behave
hs_hold "streaming" holdstill backup -v "$HS_DOM"
kill -INT "$HS_PID"
kill -CONT "$HS_PID"
! hs_wait || fail "a backup that was stopped succeeds"
hs_hold "streaming" holdstill backup -v "$HS_DOM"
kill -9 "$HS_PID"
hs_wait || true
assert_owed 0
assert_contains "$(heard ledger)" thaw
assert_not_contains "$(heard ledger)" committed

# Nor of one whose repository took no point at the very end, when it had been
# written down that the guest is to be told.
behave
points=$(hs_count web)
hs_hold "committing" holdstill backup -v "$HS_DOM"
mv "$HOLDSTILL_REPO/points" "$HOLDSTILL_REPO/points.away"
echo >"$HOLDSTILL_REPO/points"
kill -CONT "$HS_PID"
assert_exit 1 hs_wait
rm "$HOLDSTILL_REPO/points"
mv "$HOLDSTILL_REPO/points.away" "$HOLDSTILL_REPO/points"
assert_owed 0
assert_eq "$points" "$(hs_count web)" points
assert_contains "$(heard ledger)" thaw
assert_not_contains "$(heard ledger)" committed
assert_ok holdstill guest writers "$HS_DOM"
assert_not_contains "$ASSERT_OUT" "still to be told"

# The helper was down: told at the next contact.
behave
unheard_point
assert_not_contains "$(heard ledger)" committed
assert_owed 1
helper_comes
assert_ok holdstill guest writers "$HS_DOM"
assert_contains "$ASSERT_OUT" "1 point of which they are still to be told"
assert_owed 0
assert_match "$(heard ledger | tail -n 2 | tr '\n' ' ')" \
    "^meta position 41 committed $HS_POINT"

# By the next backup as well, before it asks for more.  What a writer fails at
# is told again; of several points it is told the newest.
behave
unheard_point
helper_comes
does ledger committed 'fail the shredder jams'
hs_make 0 ""
assert_contains "$ASSERT_ERR" "the shredder jams"
behave
assert_ok holdstill recover
assert_eq "committed $HS_POINT" "$(heard ledger | grep committed)"
assert_owed 0

# Not of a point that was forgotten meanwhile.
behave
unheard_point
assert_owed 1
assert_ok holdstill forget "$HS_POINT"
helper_comes
assert_owed 0
assert_not_contains "$(heard ledger)" "committed"

# A guest that is off is not waited for. (Its last checkpoint went with the
# point.)
hs_make 3 ""
unheard_point
virsh -q destroy "$HS_DOM"
assert_ok holdstill -v recover
assert_contains "$ASSERT_OUT" "1 points of which their guests are still to"
assert_match "$ASSERT_ERR" \
    "point ${HS_POINT:0:8}: the guest was not told yet: the guest does not run"
assert_owed 1
