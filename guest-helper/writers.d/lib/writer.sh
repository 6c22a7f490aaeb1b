# shellcheck shell=sh disable=SC2034 # used by those who source it
# SPDX-License-Identifier: Apache-2.0
#
# What the shipped writers share: the conversation with holdstill-guest (the
# contract is docs/writers.md) and the reading of their configuration.
#
# A writer sources this, reads its configuration, defines its steps, and
# ends with writer_run:
#
#	step_prepare SESSION    makes ready; what takes long belongs here
#	step_freeze             holds still; quick
#	step_thaw               lets go; status 0 says: held until now
#	step_release            lets go of whatever is held; says nothing; may
#	                        come at any time, more than once
#	step_committed POINT    the backup is durable: logs may be truncated
#
# A step returns 0, or 1 after writer_fail. Functions for them:
#
#	writer_config NAME:TYPE=DEFAULT...
#	                        sets conf_NAME from NAME.conf or to DEFAULT.
#	                        TYPE: text, list (may be given many times, one
#	                        value a line), seconds (1 to 3600), or the
#	                        words that are allowed, as in yes|no
#	writer_fail REASON      remembers why, returns 1
#	writer_meta KEY VALUE   goes into the backup's manifest
#	writer_data PATH        where data lies, which has to be in the backup;
#	                        in step_prepare only. What the key `data` has
#	                        (a list) is said without it: a writer with that
#	                        key asks its server only if $conf_data is empty
#	writer_note TEXT        goes into the helper's log
#	writer_said KEY         prints what was said at the freeze; for
#	                        step_committed
#	writer_now              sets now_ms, of a clock that never jumps
#	$writer_newline, $writer_run_dir (of root's, in memory), $writer_conf
#
# The name under which the writer is linked into the helper's folder is that of
# its configuration, so that one program can serve two servers.
#
# HOLDSTILL_WRITERS_CONF and HOLDSTILL_WRITERS_RUN: other folders, for tests.

set -uf
export LC_ALL=C
umask 077

writer_name=${0##*/}
writer_conf=${HOLDSTILL_WRITERS_CONF:-/etc/holdstill/writers.conf.d}
writer_conf=$writer_conf/$writer_name.conf
writer_run_dir=${HOLDSTILL_WRITERS_RUN:-/run/holdstill/writers}
writer_reason=
_writer_broken=
_writer_ready=no
_writer_held=no
_writer_said=
_writer_places=
_writer_place_count=0
writer_newline='
'

# The helper may die at any time: a write to it must not end the clean-up.
trap : PIPE HUP INT
trap 'exit 143' TERM
trap step_release EXIT

writer_fail() {
	writer_reason=$1
	return 1
}

# One line of printable ASCII, well inside the helper's limits.
_writer_line() {
	_writer_text=$2
	case $2 in
	*[![:print:]]*)
		_writer_text=$(printf %s "$2" | tr '\n\t' '  ' |
		    tr -c '[:print:]' '?')
		;;
	esac
	printf '%s%.250s\n' "$1" "$_writer_text"
}

writer_meta() {
	_writer_line "meta $1 " "$2"
}

writer_data() {
	case $1 in
	*[[:cntrl:]]*) set -- ;;
	/*) [ ${#1} -le 255 ] || set -- ;;
	*) set -- ;;
	esac
	[ $# -gt 0 ] ||
	    writer_fail 'where its data lies is no path of 255 bytes' || return
	case $_writer_places in
	*"$writer_newline$1$writer_newline"*) return 0 ;;
	esac
	_writer_places=$_writer_places$writer_newline$1$writer_newline
	_writer_place_count=$((_writer_place_count + 1))
	[ $_writer_place_count -le 16 ] ||
	    writer_fail 'its data lies in more than 16 folders' || return
	printf 'data %s\n' "$1"
}

# Those of the configuration.
_writer_data() {
	_writer_places=
	_writer_place_count=0
	_writer_rest=${conf_data:-}
	while [ -n "$_writer_rest" ]; do
		writer_data "${_writer_rest%%"$writer_newline"*}" || return
		_writer_rest=${_writer_rest#*"$writer_newline"}
	done
}

writer_note() {
	_writer_line 'note ' "$1"
}

writer_said() {
	_writer_rest=$_writer_said
	while [ -n "$_writer_rest" ]; do
		_writer_first=${_writer_rest%%"$writer_newline"*}
		_writer_rest=${_writer_rest#*"$writer_newline"}
		case $_writer_first in
		"$1 "*)
			printf '%s\n' "${_writer_first#* }"
			return 0
			;;
		esac
	done
	return 1
}

writer_now() {
	read -r now_ms _ </proc/uptime
	now_ms=${now_ms%.*}${now_ms#*.}0
}

# The specification of a key, TYPE=DEFAULT.
_writer_spec() {
	for _writer_spec in $_writer_specs; do
		case $_writer_spec in
		"$1:"*)
			_writer_spec=${_writer_spec#*:}
			return 0
			;;
		esac
	done
	return 1
}

_writer_set() {
	if ! _writer_spec "$1"; then
		_writer_broken="unknown key $_writer_written"
		return
	fi
	_writer_type=${_writer_spec%%=*}
	case $_writer_type in
	text) ;;
	list)
		eval "conf_$1=\$conf_$1\$2\$writer_newline"
		return
		;;
	seconds)
		case $2 in
		'' | *[!0-9]* | 0* | ?????*) _writer_broken=number ;;
		*) [ "$2" -le 3600 ] || _writer_broken=number ;;
		esac
		[ -z "$_writer_broken" ] ||
		    _writer_broken="$_writer_written is not 1 to 3600 seconds"
		;;
	*)
		case "|$_writer_type|" in
		*"|$2|"*) ;;
		*) _writer_broken="$_writer_written is none of $_writer_type" ;;
		esac
		;;
	esac
	eval "conf_$1=\$2"
}

_writer_trim() {
	_writer_text=$1
	while :; do
		case $_writer_text in
		[[:blank:]]*) _writer_text=${_writer_text#?} ;;
		*[[:blank:]]) _writer_text=${_writer_text%?} ;;
		*) return ;;
		esac
	done
}

_writer_parse() {
	_writer_trim "$1"
	case $_writer_text in
	'' | '#'*) return ;;
	*[![:print:][:blank:]]*) _writer_broken='not printable' ;;
	[a-z]*=*)
		_writer_value=${_writer_text#*=}
		_writer_trim "${_writer_text%%=*}"
		_writer_key=$_writer_text
		_writer_written=$_writer_text
		_writer_trim "$_writer_value"
		while :; do
			case $_writer_key in
			*-*) _writer_key=${_writer_key%%-*}_${_writer_key#*-} ;;
			*) break ;;
			esac
		done
		case $_writer_key in
		*[!a-z_]*) _writer_broken='not a key' ;;
		*) _writer_set "$_writer_key" "$_writer_text" ;;
		esac
		;;
	*) _writer_broken='not KEY = VALUE' ;;
	esac
}

# What anybody but root may change is not believed: it names files that root
# touches and users that it becomes.
_writer_conf_is_safe() {
	[ -n "$(find -L "$writer_conf" -maxdepth 0 -type f \
	    \( -uid 0 -o -uid "$(id -u)" \) ! -perm /022)" ]
}

writer_config() {
	_writer_specs=$*
	for _writer_spec in "$@"; do
		eval "conf_${_writer_spec%%:*}=\${_writer_spec#*=}"
	done
	[ -e "$writer_conf" ] || return 0
	if ! _writer_conf_is_safe; then
		_writer_broken="$writer_conf: not a file of root's alone"
		return 0
	fi
	_writer_number=0
	while IFS= read -r _writer_text || [ -n "$_writer_text" ]; do
		_writer_number=$((_writer_number + 1))
		_writer_parse "$_writer_text"
		[ -z "$_writer_broken" ] || break
	done <"$writer_conf"
	[ -z "$_writer_broken" ] ||
	    _writer_broken="$writer_conf:$_writer_number: $_writer_broken"
}

_writer_step() {
	writer_reason=
	if [ -n "$_writer_broken" ]; then
		writer_reason=$_writer_broken
		return 1
	fi
	"$@"
}

_writer_answer() {
	if _writer_step "$@"; then
		echo ok
	else
		_writer_line 'fail ' "${writer_reason:-$1 failed}"
	fi
}

# What failed half-way holds nothing, and the first failure is the reason.
_writer_give_up() {
	_writer_first=$writer_reason
	step_release
	writer_fail "$_writer_first"
}

_writer_prepare() {
	_writer_said=
	_writer_abort
	if _writer_data && step_prepare "$1"; then
		_writer_ready=yes
		return 0
	fi
	_writer_give_up
}

_writer_freeze() {
	[ $_writer_ready = yes ] || writer_fail 'it is not prepared' || return
	_writer_ready=no
	if step_freeze; then
		_writer_held=yes
		return 0
	fi
	_writer_give_up
}

# The second thaw of two cannot say that all was held until now.
_writer_thaw() {
	_writer_ready=no
	if [ $_writer_held = no ]; then
		step_release
		writer_fail 'it was not frozen'
		return
	fi
	_writer_held=no
	step_thaw
}

_writer_abort() {
	_writer_ready=no
	_writer_held=no
	step_release
}

writer_run() {
	while IFS= read -r _writer_command; do
		case $_writer_command in
		'prepare '*)
			_writer_answer _writer_prepare "${_writer_command#* }"
			;;
		freeze) _writer_answer _writer_freeze ;;
		thaw) _writer_answer _writer_thaw ;;
		'meta '*)
			_writer_said=$_writer_said${_writer_command#* }
			_writer_said=$_writer_said$writer_newline
			;;
		'committed '*)
			_writer_answer step_committed "${_writer_command#* }"
			_writer_said=
			;;
		abort)
			_writer_abort
			echo ok
			;;
		*) _writer_line 'fail unknown command: ' "$_writer_command" ;;
		esac
	done
	exit 0
}
