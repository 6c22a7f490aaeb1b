# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests of the shipped writers: plays the helper to one of them, and gives
# it a folder for servers of the test's own.
#
#	w_setup USER         makes W_DIR, a folder of that user (made world
#	                     readable); the EXIT trap removes it
#	w_on_exit CMD...     runs CMD at the end (last in, first out)
#	w_conf NAME LINE...  writes NAME.conf
#	w_start NAME         starts the writer; W_PID
#	w_say LINE           sends a line that takes no answer
#	w_ok LINE [SECONDS]  sends it; the answer is ok. W_META[KEY] is what it
#	                     said, W_NOTES too, and W_DATA, the places it
#	                     named, with ";" behind each
#	w_fail LINE [SECONDS]  the answer is fail; W_REASON
#	w_metas              sends all of W_META back, as before `committed`
#	w_end                ends its input; it exits by itself
#	w_kill               SIGKILL to the writer alone
#	w_kill_group         SIGKILL to its process group
#	w_wait SECONDS WHAT CMD...   until CMD succeeds, else the test fails
#	w_as USER CMD...     as that user
#	w_daemon USER CMD... in the background until the end; W_DAEMON, its PID
#	w_apart CMD...       without the writer's pipes, which must not live on
#	                     in what the command starts
#	w_forget             closes them; for what is in the background
#	w_stop PID           SIGKILL to a child of the test, if it is alive
#	w_is_dead PID        has it ended?
#
# The writer gets the helper's environment, and what is in W_ENV.

W_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
W_ENV=()
W_DIR=
W_PID=
declare -A W_META=()
_w_exit_commands=()
_w_in=
_w_out=

# shellcheck source=tests/lib/assert.sh
. "$W_TOP/tests/lib/assert.sh"

w_on_exit() {
	_w_exit_commands=("$(printf '%q ' "$@")" "${_w_exit_commands[@]}")
}

_w_finish() {
	local status=$? command

	set +e
	[ -z "$W_PID" ] || w_kill_group
	for command in "${_w_exit_commands[@]}"; do
		eval "$command"
	done
	rm -rf "$W_DIR"
	exit "$status"
}

w_setup() {
	local program

	[ "$(id -u)" = 0 ] || skip "not root"
	id "$1" >/dev/null 2>&1 || skip "no user $1"
	for program in "${@:2}"; do
		command -v "$program" >/dev/null || skip "no $program"
	done
	W_DIR=$(mktemp -d /tmp/holdstill-writers.XXXXXX)
	trap _w_finish EXIT
	trap 'exit 1' TERM INT
	chown "$1" "$W_DIR"
	chmod 755 "$W_DIR"
	mkdir -m 700 "$W_DIR/conf" "$W_DIR/run"
	# Not the owner's to write: configuration and state are root's.
	chown root "$W_DIR/conf" "$W_DIR/run"
}

w_as() {
	local user=$1
	shift

	setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
}

w_daemon() {
	local user=$1
	shift

	(
		[ -z "$W_PID" ] || w_forget
		exec setpriv --reuid="$user" --regid="$(id -g "$user")" \
		    --init-groups -- "$@"
	) &
	W_DAEMON=$!
	w_on_exit w_stop "$W_DAEMON"
}

w_conf() {
	local name=$1
	shift

	printf '%s\n' "$@" >"$W_DIR/conf/$name.conf"
	chmod 600 "$W_DIR/conf/$name.conf"
}

w_start() {
	mkfifo "$W_DIR/in" "$W_DIR/out"
	setsid env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	    LC_ALL=C HOLDSTILL_SESSION=0123456789abcdef \
	    HOLDSTILL_WRITERS_CONF="$W_DIR/conf" \
	    HOLDSTILL_WRITERS_RUN="$W_DIR/run" "${W_ENV[@]}" \
	    "$W_TOP/guest-helper/writers.d/$1" <"$W_DIR/in" >"$W_DIR/out" &
	W_PID=$!
	exec {_w_in}>"$W_DIR/in" {_w_out}<"$W_DIR/out"
	rm "$W_DIR/in" "$W_DIR/out"
	W_META=()
}

w_say() {
	printf '%s\n' "$1" >&"$_w_in"
}

# Sets W_ANSWER (ok or fail), W_REASON.
_w_ask() {
	local line kind rest status begin

	begin=$(date +%s%N)
	W_ANSWER='' W_REASON='' W_NOTES='' W_DATA=''
	w_say "$1"
	while [ -z "$W_ANSWER" ]; do
		status=0
		IFS= read -r -t "${2:-20}" -u "$_w_out" line || status=$?
		[ $status -le 128 ] || fail "no answer to '$1' in time"
		[ $status = 0 ] || fail "the writer ended at '$1'"
		kind=${line%% *} rest=${line#* }
		[[ $line =~ ^[[:print:]]{2,1024}$ ]] || fail "line: $line"
		case $kind in
		ok) assert_eq ok "$line" "an answer"; W_ANSWER=ok ;;
		fail) W_ANSWER=fail W_REASON=$rest ;;
		note) W_NOTES="$W_NOTES$rest; " ;;
		data)
			assert_match "$rest" '^/.{0,254}$' place
			W_DATA="$W_DATA$rest;"
			;;
		meta)
			assert_match "${rest%% *}" '^[a-z0-9_.-]{1,63}$' key
			W_META[${rest%% *}]=${rest#* }
			;;
		*) fail "no line of the contract: $line" ;;
		esac
	done
	begin=$((($(date +%s%N) - begin) / 1000000))
	echo "$1: $W_ANSWER after $begin ms: $W_REASON $W_NOTES"
}

w_ok() {
	_w_ask "$@"
	[ "$W_ANSWER" = ok ] || fail "$1: $W_REASON"
}

w_fail() {
	_w_ask "$@"
	[ "$W_ANSWER" = fail ] || fail "$1: expected fail, got ok"
}

w_metas() {
	local key

	for key in "${!W_META[@]}"; do
		w_say "meta $key ${W_META[$key]}"
	done
}

_w_over() {
	local status=0

	wait "$W_PID" 2>/dev/null || status=$?
	exec {_w_in}>&- {_w_out}<&-
	W_PID=
	return "$status"
}

w_end() {
	exec {_w_in}>&-
	w_wait 10 "the writer's end" w_is_dead "$W_PID"
	exec {_w_in}</dev/null
	_w_over || fail "the writer ended with $?"
}

w_is_dead() {
	! kill -0 "$1" 2>/dev/null || grep -qs '^State:.*Z' "/proc/$1/status"
}

w_kill() {
	kill -KILL "$W_PID"
	_w_over || :
}

w_kill_group() {
	kill -KILL -- "-$W_PID"
	_w_over || :
}

w_forget() {
	exec {_w_in}>&- {_w_out}<&-
}

w_apart() (
	w_forget
	"$@"
)

w_stop() {
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null || :
}

w_wait() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2

	until "$@"; do
		[ $SECONDS -lt $deadline ] || fail "not in time: $what"
		sleep 0.05
	done
}
