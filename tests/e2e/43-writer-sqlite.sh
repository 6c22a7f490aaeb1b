#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the SQLite writer holds all its files at one instant, lets go however
# it ends, and says so when it could not; configuration is read with care.
set -eu

# shellcheck source=tests/lib/writers.sh
. "$(dirname "$0")/../lib/writers.sh"

w_setup daemon sqlite3
data="$W_DIR/it's a [file].db"
wal=$W_DIR/wal.db
for file in "$data" "$wal"; do
	w_as daemon sqlite3 "$file" 'CREATE TABLE t (n INTEGER)'
done
w_as daemon sqlite3 "$wal" 'PRAGMA journal_mode = WAL' >/dev/null
w_conf sqlite "database = $data" "database=$wal" 'freeze-timeout = 2'

# insert FILE [MS]: status of one INSERT.
insert() {
	w_as daemon sqlite3 -cmd ".timeout ${2:-0}" "$1" \
	    'INSERT INTO t VALUES (1)' 2>/dev/null
}

count() {
	w_as daemon sqlite3 "$1" 'SELECT count(*) FROM t'
}

both_writable() {
	insert "$data" && insert "$wal"
}

# Held: both files refuse writes and can be read, until the thaw.
w_start sqlite
w_ok 'prepare 0123456789abcdef'
assert_eq "$W_DIR;" "$W_DATA" places
assert_ok insert "$data"
w_ok freeze
assert_match "${W_META[database.1]}" "^$W_DIR.*: [0-9]+ pages, delete$"
assert_match "${W_META[database.2]}" "wal.db: [0-9]+ pages, wal$"
for file in "$data" "$wal"; do
	! insert "$file" || fail "a commit in $file while it was frozen"
done
assert_eq 1 "$(count "$data")"
w_ok thaw
assert_ok both_writable
w_fail thaw
w_metas
w_ok 'committed 0123456789abcdef'
w_ok abort
w_end

# End of input in the freeze, SIGKILL of the writer, of its group, SIGTERM:
# writable at once.
for way in end kill kill_group term; do
	w_start sqlite
	w_ok 'prepare 0123456789abcdef'
	w_ok freeze
	! insert "$wal" || fail "not frozen"
	begin=$(date +%s%N)
	case $way in
	term)
		kill -TERM "$W_PID"
		w_wait 5 "end by SIGTERM" w_is_dead "$W_PID"
		_w_over || :
		;;
	*) "w_$way" ;;
	esac
	w_wait 5 "writes after $way" both_writable
	echo "$way: writable after $((($(date +%s%N) - begin) / 1000000)) ms"
done

# Someone else's long transaction: it fails in time and holds nothing, also
# not the file that it had got.
coproc other { w_as daemon sqlite3 -batch "$wal"; }
other_pid=$! other_in=${other[1]} other_out=${other[0]}
w_on_exit w_stop "$other_pid"
echo "BEGIN IMMEDIATE; SELECT 'begun';" >&"$other_in"
read -r -t 5 -u "$other_out" _
w_start sqlite
w_ok 'prepare 0123456789abcdef'
w_fail freeze 3
assert_contains "$W_REASON" 'wal.db: '
assert_contains "$W_REASON" locked
assert_ok insert "$data"
w_fail thaw
w_end
eval "exec $other_in>&-"
wait "$other_pid" || :

# A session that is lost while frozen is no proof.
w_start sqlite
w_ok 'prepare 0123456789abcdef'
w_ok freeze
kill -KILL "$(pgrep -P "$W_PID" sqlite3 | head -n 1)"
w_fail thaw
w_end

# What is not there is said; what is not a database, too.
w_conf sqlite "database = $W_DIR/none.db"
w_start sqlite
w_fail 'prepare 0123456789abcdef'
assert_no_file "$W_DIR/none.db"
w_end
w_conf sqlite 'database = /etc/passwd'
w_start sqlite
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" 'not a database'
w_end
w_conf sqlite "database = $W_DIR/none.db" 'if-missing = ok'
w_start sqlite
w_ok 'prepare 0123456789abcdef'
assert_contains "$W_NOTES" none.db
w_ok freeze
w_ok thaw
w_say 'dance'
w_fail ''
w_end

# refuse REASON LINE...: a configuration that is not understood is not used.
refuse() {
	local reason=$1
	shift

	w_conf sqlite "$@"
	w_start sqlite
	w_fail 'prepare 0123456789abcdef'
	assert_contains "$W_REASON" "$reason"
	w_fail freeze
	w_fail 'committed 0123456789abcdef'
	w_end
}
refuse 'sqlite.conf:2: unknown key databases' '# head' 'databases = /x'
refuse 'sqlite.conf:1: freeze-timeout is not' 'freeze-timeout = 0'
refuse 'sqlite.conf:1: freeze-timeout is not' 'freeze-timeout = 3601'
# shellcheck disable=SC2016 # nothing is to be run
refuse 'sqlite.conf:1: freeze-timeout is not' 'freeze-timeout = $(reboot)'
refuse 'sqlite.conf:1: if-missing is none of' 'if-missing = perhaps'
refuse 'sqlite.conf:1: not KEY' 'database'
refuse 'sqlite.conf:1: not a key' 'data;base = x'
w_conf sqlite ''
w_start sqlite
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" 'no database in'
w_fail freeze
w_end
w_conf sqlite "database = $wal"
chmod 666 "$W_DIR/conf/sqlite.conf"
w_start sqlite
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" "root's alone"
w_end
assert_eq '' "$(ls "$W_DIR/run")" 'what is left in the run folder'
