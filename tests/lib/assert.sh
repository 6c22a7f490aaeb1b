# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Assertions for shell tests. Each says what it expected and where, then ends
# the test with status 1.
#
#	skip REASON                     ends the test as skipped (status 77)
#	fail TEXT                       ends the test
#	assert_eq WANT GOT [WHAT]
#	assert_ne UNWANTED GOT [WHAT]
#	assert_num NUMBER OP NUMBER [WHAT]     OP as of test: -lt -le -eq ...
#	assert_ok CMD...                CMD exits 0
#	assert_exit CODE CMD...         CMD exits with CODE; what it printed is
#	                                in ASSERT_OUT and ASSERT_ERR after it
#	assert_contains TEXT PART [WHAT]
#	assert_not_contains TEXT PART [WHAT]
#	assert_match TEXT REGEX [WHAT]         extended regular expression
#	assert_lines COUNT TEXT [WHAT]
#	assert_file PATH / assert_no_file PATH
#	assert_json TEXT JQ_FILTER [WHAT]      filter gives true (jq -e)

skip() {
	echo "skipped: $*"
	exit 77
}

fail() {
	local i

	echo "FAILED: $*" >&2
	for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
		echo "  at ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}" >&2
	done
	exit 1
}

assert_eq() {
	[ "$1" = "$2" ] || fail "${3:-values}: expected '$1', got '$2'"
}

assert_ne() {
	[ "$1" != "$2" ] || fail "${3:-values}: expected other than '$1'"
}

assert_num() {
	test "$1" "$2" "$3" || fail "${4:-numbers}: expected $1 $2 $3"
}

assert_ok() {
	assert_exit 0 "$@"
}

assert_exit() {
	local want=$1 got=0 out err
	shift

	out=$(mktemp)
	err=$(mktemp)
	"$@" >"$out" 2>"$err" || got=$?
	ASSERT_OUT=$(cat "$out")
	ASSERT_ERR=$(cat "$err")
	rm -f "$out" "$err"
	[ "$got" = "$want" ] && return 0
	printf '%s\n' "$ASSERT_OUT" "$ASSERT_ERR" >&2
	fail "expected exit status $want, got $got: $*"
}

assert_contains() {
	case $1 in
	*"$2"*) ;;
	*) fail "${3:-text}: expected '$2' in '$1'" ;;
	esac
}

assert_not_contains() {
	case $1 in
	*"$2"*) fail "${3:-text}: expected no '$2' in '$1'" ;;
	esac
}

assert_match() {
	grep -Eq -- "$2" <<<"$1" ||
	    fail "${3:-text}: expected a match of '$2' in '$1'"
}

assert_lines() {
	local got=0

	[ -z "$2" ] || got=$(wc -l <<<"$2")
	[ "$got" -eq "$1" ] ||
	    fail "${3:-text}: expected $1 lines, got $got: '$2'"
}

assert_file() {
	[ -e "$1" ] || fail "expected a file at $1"
}

assert_no_file() {
	[ ! -e "$1" ] || fail "expected no file at $1"
}

assert_json() {
	jq -e "$2" >/dev/null <<<"$1" ||
	    fail "${3:-JSON}: expected '$2' of: $1"
}
