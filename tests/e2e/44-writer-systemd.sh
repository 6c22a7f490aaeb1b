#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the systemd writer holds its units in each mode, lets them go however
# it ends, and says so when one ran meanwhile.
#
# systemd is not process 1 where tests run: a stand-in for systemctl stops
# and continues real processes. It has units of one process each; that all
# processes of a control group are stopped shows in a real guest only.
set -eu

# shellcheck source=tests/lib/writers.sh
. "$(dirname "$0")/../lib/writers.sh"

w_setup daemon setsid flock
units=$W_DIR/units
writer=$W_TOP/guest-helper/writers.d/systemd
mkdir -p "$W_DIR/bin" "$units"
W_ENV=("PATH=$W_DIR/bin:/usr/sbin:/usr/bin:/sbin:/bin" "UNITS=$units")
export UNITS=$units PATH=$W_DIR/bin:$PATH

# UNIT.pid, UNIT.frozen: its state. UNIT.no-VERB: VERB fails; UNIT.slow-VERB:
# it takes long; UNIT.ended: its state when it does not run. log: what was
# asked for.
cat >"$W_DIR/bin/systemctl" <<'STAND_IN'
#!/bin/bash
[ "$1" != --no-ask-password ] || shift
verb=$1 unit=${!#} at=$UNITS/${!#}
pid=$(cat "$at.pid" 2>/dev/null)
alive() {
	[ -n "$pid" ] &&
	    grep -qs '^State:[[:blank:]]*[A-Yt]' "/proc/$pid/status"
}
property() {
	case $1 in
	ActiveState) alive && echo active || cat "$at.ended" 2>/dev/null ||
	    echo inactive ;;
	FreezerState) [ -e "$at.frozen" ] && echo frozen || echo running ;;
	MainPID) echo "${pid:-0}" ;;
	ControlGroup) echo ;;
	esac
}
[ "$verb" = show ] || echo "$*" >>"$UNITS/log"
[ ! -e "$at.no-$verb" ] || exit 1
[ ! -e "$at.slow-$verb" ] || sleep 20
case $verb in
show) property "$4" ;;
start)
	alive || {
		setsid sleep 1000 </dev/null >/dev/null 2>&1 &
		echo $! >"$at.pid"
	}
	;;
stop)
	alive || exit 0
	kill -KILL "$pid"
	while alive; do :; done
	;;
kill) alive && kill -s "$3" "$pid" ;;
freeze) alive && kill -STOP "$pid" && : >"$at.frozen" ;;
thaw) alive && kill -CONT "$pid" && rm -f "$at.frozen" ;;
esac
STAND_IN
chmod 755 "$W_DIR/bin/systemctl"

ctl() {
	w_apart systemctl "$@"
}

stop_units() {
	local pid

	for pid in "$units"/*.pid; do
		kill -KILL "$(cat "$pid")" 2>/dev/null || :
	done
}
w_on_exit stop_units

runs() {
	case $(sed -n 's/^State:[[:blank:]]*//p' \
	    "/proc/$(cat "$units/$1.pid")/status" 2>/dev/null) in
	S* | R*) return 0 ;;
	*) return 1 ;;
	esac
}

both_run() {
	runs one && runs two
}

none_runs() {
	! runs one && ! runs two
}

run_is_empty() {
	[ -z "$(ls "$W_DIR/run")" ]
}

frozen() {
	w_start systemd
	w_ok 'prepare 0123456789abcdef'
	assert_eq '' "$W_DATA"
	assert_ok both_run
	w_ok freeze
	assert_ok none_runs
}

# The guard of the writer, which has a session of its own.
guard() {
	pgrep -f -- "^/bin/sh $writer --guard $W_DIR/run/"
}

systemctl start one
systemctl start two
for mode in stop freeze signal; do
	w_conf systemd 'unit = one' 'unit = two' "mode = $mode"
	frozen
	assert_eq "$mode" "${W_META[mode]}"
	assert_eq 'one two' "${W_META[units]}"
	w_ok thaw
	assert_ok both_run
	w_fail thaw
	w_metas
	w_ok 'committed 0123456789abcdef'
	w_end
	w_wait 5 'the end of the guard' run_is_empty

	# However the writer ends, the units go on.
	for way in end kill kill_group; do
		frozen
		begin=$(date +%s%N)
		"w_$way"
		w_wait 5 "units after $way, $mode" both_run
		begin=$((($(date +%s%N) - begin) / 1000000))
		echo "$mode, $way: units go on after $begin ms"
		w_wait 5 'the end of the guard' run_is_empty
	done

	# Even if nobody is left who could: at the next prepare, or by hand.
	frozen
	kill -KILL "$(guard)"
	w_kill_group
	assert_ok none_runs
	env "${W_ENV[@]}" HOLDSTILL_WRITERS_CONF="$W_DIR/conf" \
	    HOLDSTILL_WRITERS_RUN="$W_DIR/run" \
	    "$writer" --thaw-leftovers
	assert_ok both_run
	assert_ok run_is_empty
	frozen
	kill -KILL "$(guard)"
	w_kill_group
	assert_ok none_runs
	frozen
	w_ok thaw
	assert_ok both_run
	w_end

	# Somebody else lets one go.
	frozen
	case $mode in
	stop) ctl start two ;;
	freeze) ctl thaw two ;;
	signal) ctl kill -s SIGCONT two ;;
	esac
	w_wait 5 'two to run' runs two
	w_fail thaw
	assert_contains "$W_REASON" two
	assert_ok both_run
	w_end

	# The second one cannot be held: the first one goes on at once.
	verb=${mode/signal/kill}
	: >"$units/two.no-$verb"
	w_start systemd
	w_ok 'prepare 0123456789abcdef'
	w_fail freeze
	rm "$units/two.no-$verb"
	w_wait 5 'both' both_run
	w_fail thaw
	w_end
	systemctl start two
	[ "$mode" != signal ] || systemctl kill -s SIGCONT two
done

# Where the data lies is what is configured, and a path.
w_conf systemd 'unit = one' 'unit = two' 'data = /srv/a b' 'data = /srv' \
    'data = /srv'
w_start systemd
w_ok 'prepare 0123456789abcdef'
assert_eq '/srv/a b;/srv;' "$W_DATA"
w_end
w_conf systemd 'unit = one' 'unit = two' 'data = srv'
w_start systemd
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" "where its data lies"
w_end

# One that takes too long fails in time.
w_conf systemd 'unit = one' 'unit = two' 'freeze-timeout = 1'
: >"$units/two.slow-stop"
w_start systemd
w_ok 'prepare 0123456789abcdef'
w_fail freeze 4
assert_ok both_run
rm "$units/two.slow-stop"
w_end

# One that does not start again is said, and tried again at the next prepare.
: >"$units/two.no-start"
frozen
w_fail thaw
assert_contains "$W_REASON" two
assert_ok runs one
w_end
rm "$units/two.no-start"
w_start systemd
w_ok 'prepare 0123456789abcdef'
assert_ok both_run
w_end

# One that fails when it is stopped is stopped.
echo failed >"$units/one.ended"
frozen
w_ok thaw
w_end
rm "$units/one.ended"

# What did not run is not started.
systemctl stop two
w_start systemd
w_ok 'prepare 0123456789abcdef'
assert_contains "$W_NOTES" 'two is inactive'
w_ok freeze
assert_eq one "${W_META[units]}"
w_ok thaw
assert_ok runs one
! runs two || fail 'two was started'
w_end
w_conf systemd 'unit = one' 'unit = two' 'if-down = fail'
w_start systemd
w_fail 'prepare 0123456789abcdef'
w_end
w_conf systemd ''
w_start systemd
w_fail 'prepare 0123456789abcdef'
w_end
w_wait 5 'an empty run folder' run_is_empty
