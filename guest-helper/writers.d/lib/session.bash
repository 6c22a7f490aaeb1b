# shellcheck shell=bash disable=SC2154,SC2034 # shared variables
# SPDX-License-Identifier: Apache-2.0
#
# Clients of databases that stay open through a backup, spoken to in SQL.
# bash, not POSIX sh: reads with a time limit, and more descriptors than nine.
#
#	session_open NAME CMD...     starts a client
#	session_send NAME SQL        SQL of one or more statements
#	session_await NAME UNTIL_MS  its answer, in session_lines, the last of
#	                             them also in session_row (a client may
#	                             begin with warnings); on failure the
#	                             session is closed, and writer_reason is
#	                             what the client said last
#	session_ask NAME UNTIL_MS SQL    both
#	session_is_open NAME
#	session_close NAME           ends the client; what it held is let go
#	session_close_all
#	session_apart CMD...         runs a command that gets none of the
#	                             sessions' descriptors
#	session_as USER              sets session_as, to put before a command
#	                             that is to run as that user
#	session_until SECONDS        sets until_ms, that long from now
#
# UNTIL_MS is of writer_now's clock. Nobody but this process holds the
# client's input: when this process dies, however it dies, the client's input
# ends, it leaves, and the server lets go.

declare -A _session_in=() _session_out=() _session_pid=() _session_mark=()
session_lines=()
session_row=
_session_count=0

session_is_open() {
	[ -n "${_session_pid[$1]:-}" ]
}

_session_close_fds() {
	local fd

	for fd in "${_session_in[@]}" "${_session_out[@]}"; do
		exec {fd}>&-
	done
}

session_apart() {
	(
		_session_close_fds
		exec "$@"
	) </dev/null
}

session_as() {
	session_as=()
	[ "$(id -u)" != 0 ] || session_as=(setpriv "--reuid=$1"
	    "--regid=$(id -g "$1")" --init-groups --)
}

session_until() {
	writer_now
	until_ms=$((now_ms + $1 * 1000))
}

session_open() {
	local name=$1 dir in out
	shift

	mkdir -p "$writer_run_dir" &&
	    dir=$(mktemp -d "$writer_run_dir/session.XXXXXX") &&
	    mkfifo "$dir/in" "$dir/out" || {
		writer_fail "$writer_run_dir cannot be written"
		return
	}
	(
		_session_close_fds
		exec "$@"
	) <"$dir/in" >"$dir/out" 2>&1 &
	_session_pid[$name]=$!
	exec {in}>"$dir/in" {out}<"$dir/out"
	_session_in[$name]=$in
	_session_out[$name]=$out
	rm -rf "$dir"
}

session_send() {
	session_is_open "$1" || return 0
	_session_count=$((_session_count + 1))
	_session_mark[$1]=holdstill-$$-$_session_count
	printf "%s\nSELECT '%s';\n" "$2" "${_session_mark[$1]}" \
	    1>&"${_session_in[$1]}" 2>/dev/null || :
}

# Why the client left: what it said last.
_session_why() {
	writer_fail "$1: ${session_row:-the client ended}"
}

session_await() {
	local line left wait status

	session_lines=()
	session_row=
	session_is_open "$1" || {
		writer_fail "${writer_reason:-$1: no connection}"
		return
	}
	while :; do
		writer_now
		left=$(($2 - now_ms))
		((left > 0)) || left=1
		printf -v wait '%d.%03d' $((left / 1000)) $((left % 1000))
		status=0
		IFS= read -r -t "$wait" -u "${_session_out[$1]}" line ||
		    status=$?
		[ "$status$line" != "0${_session_mark[$1]}" ] || return 0
		if ((status > 128)); then
			writer_fail "$1: no answer in time"
			break
		elif ((status != 0)); then
			_session_why "$1"
			break
		elif ((${#session_lines[@]} == 1000)); then
			writer_fail "$1: the client talks too much"
			break
		fi
		session_lines+=("$line")
		session_row=$line
	done
	session_close "$1"
	return 1
}

session_ask() {
	session_send "$1" "$3"
	session_await "$1" "$2"
}

session_close() {
	local fd

	session_is_open "$1" || return 0
	# A client that waits for its server does not read on.
	kill -KILL "${_session_pid[$1]}" 2>/dev/null
	wait "${_session_pid[$1]}" 2>/dev/null
	for fd in "${_session_in[$1]}" "${_session_out[$1]}"; do
		exec {fd}>&-
	done
	unset "_session_pid[$1]" "_session_in[$1]" "_session_out[$1]" \
	    "_session_mark[$1]"
}

session_close_all() {
	local name

	for name in "${!_session_pid[@]}"; do
		session_close "$name"
	done
}
