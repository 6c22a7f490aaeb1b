#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: while the MariaDB writer holds, nothing is committed; it lets go
# however it ends; binary logs are purged up to the recorded one, by
# `committed` only, once.
set -eu

# shellcheck source=tests/lib/writers.sh
. "$(dirname "$0")/../lib/writers.sh"

w_setup mysql mariadbd mariadb-install-db mariadb
socket=$W_DIR/s

sql() {
	mariadb --no-defaults -S "$socket" -u root -BN --comments -e "$1" "${2:-t}"
}

stop_server() {
	w_stop "$server"
}

w_as mysql mariadb-install-db --no-defaults --datadir="$W_DIR/data" \
    --auth-root-authentication-method=normal --skip-test-db \
    --innodb-log-file-size=8M >"$W_DIR/install.log" 2>&1
w_as mysql mkdir "$W_DIR/log"
w_daemon mysql mariadbd --no-defaults --datadir="$W_DIR/data" \
    --socket="$socket" --pid-file="$W_DIR/pid" --skip-networking \
    --log-bin="$W_DIR/log/bin" --server-id=1 --innodb-log-file-size=8M \
    --innodb-buffer-pool-size=8M --innodb-fast-shutdown=2 \
    >"$W_DIR/server.log" 2>&1
server=$W_DAEMON
w_on_exit stop_server
w_wait 20 'the server' sql 'SELECT 1' mysql >/dev/null 2>&1
sql 'CREATE DATABASE t' mysql
sql 'CREATE TABLE inno (n INT) ENGINE=InnoDB;
    CREATE TABLE isam (n INT) ENGINE=MyISAM; INSERT INTO inno VALUES (0)'
w_conf mariadb "socket = $socket" 'user = root' 'freeze-timeout = 6'

rows() {
	sql 'SELECT (SELECT count(*) FROM inno), (SELECT count(*) FROM isam)'
}

# Clients that the server keeps waiting for a lock.
waiting() {
	sql "SELECT count(*) FROM information_schema.processlist
	    WHERE state LIKE 'Waiting for%lock' AND info LIKE '%/* held */%'"
}

are_waiting() {
	[ "$(waiting)" = "$1" ]
}

held=()
hold() {
	{
		w_forget
		sql "$1 /* held */"
	} &
	held+=($!)
}

# All that was held ends well, and soon.
held_go_on() {
	local pid begin

	begin=$(date +%s%N)
	for pid in "${held[@]}"; do
		wait "$pid" || fail "a client that was held failed"
	done
	held=()
	begin=$((($(date +%s%N) - begin) / 1000000))
	echo "$1: all went on after $begin ms"
	assert_num "$begin" -lt 10000 "ms until all went on after: $1"
}

logs() {
	sql 'SHOW BINARY LOGS' | cut -f 1 | xargs
}

position() {
	sql 'SHOW MASTER STATUS' | cut -f 1,2
}

frozen() {
	w_start mariadb
	w_ok 'prepare 0123456789abcdef'
	assert_eq "$W_DIR/data/;$W_DIR/log;" \
	    "$(tr ';' '\n' <<<"${W_DATA%;}" | sort | tr '\n' ';')" places
	w_ok freeze
}

# Nothing is committed between freeze and thaw, in any engine.
frozen
at_freeze=$(position)
assert_eq "${W_META[binlog.file]}	${W_META[binlog.position]}" "$at_freeze"
assert_eq "$(sql 'SELECT @@gtid_binlog_pos')" "${W_META[gtid]}"
assert_eq "$(sql 'SELECT @@server_uid')" "${W_META[server]}"
hold 'INSERT INTO inno VALUES (1)'
hold 'INSERT INTO isam VALUES (1)'
hold 'CREATE TABLE more (n INT)'
w_wait 10 'three clients that wait' are_waiting 3
assert_eq '1	0' "$(rows)"
assert_eq "$at_freeze" "$(position)"
w_ok thaw
held_go_on thaw
assert_eq '2	1' "$(rows)"
w_fail thaw
w_end

# However it ends, the server is writable at once.
for way in end kill kill_group; do
	frozen
	hold 'INSERT INTO inno VALUES (1)'
	w_wait 10 'a client that waits' are_waiting 1
	"w_$way"
	held_go_on "$way"
done

# A connection that is lost in the freeze is no proof.
frozen
id=$(sql "SELECT id FROM information_schema.processlist WHERE user = 'root'
    AND command = 'Sleep'")
sql "KILL $id"
sql 'INSERT INTO inno VALUES (1)'
w_fail thaw
w_end

# A lock that cannot be had, for a statement that is at work, fails in time
# and leaves nothing locked.
sleeper() {
	sql "SELECT id FROM information_schema.processlist
	    WHERE state = 'User sleep'" | grep .
}
sql 'INSERT INTO isam SELECT SLEEP(50)' 2>/dev/null &
other=$!
w_wait 5 'a long statement' sleeper
w_start mariadb
w_ok 'prepare 0123456789abcdef'
begin=$SECONDS
w_fail freeze 8
assert_contains "$W_REASON" 'Lock wait timeout'
assert_num $((SECONDS - begin)) -le 6 'seconds of a freeze that failed'
sql 'INSERT INTO inno VALUES (1); CREATE TABLE early (n INT)'
sql "KILL $(sleeper)"
wait "$other" || :
sql 'INSERT INTO isam VALUES (1); CREATE TABLE again (n INT)'
w_fail thaw
w_end

# Without `purge = yes` nothing is ever purged.
sql 'FLUSH BINARY LOGS; FLUSH BINARY LOGS'
all=$(logs)
frozen
w_ok thaw
w_metas
w_ok 'committed 0123456789abcdef'
w_end
assert_eq "$all" "$(logs)" 'binary logs'

# abort purges nothing, committed up to the recorded one, a second nothing.
w_conf mariadb "socket = $socket" 'user = root' 'purge = yes'
frozen
w_ok thaw
sql 'INSERT INTO inno VALUES (2); FLUSH BINARY LOGS;
    INSERT INTO inno VALUES (3); FLUSH BINARY LOGS'
all=$(logs)
w_ok abort
assert_eq "$all" "$(logs)" 'binary logs after abort'
w_end
file=${W_META[binlog.file]}
w_keep=$(declare -p W_META)
w_start mariadb
eval "${w_keep/-A/-gA}"
w_metas
w_ok 'committed 0123456789abcdef'
assert_eq "$file${all##*"$file"}" "$(logs)" 'binary logs after committed'
assert_ne "$all" "$(logs)" 'binary logs after committed'
sql 'FLUSH BINARY LOGS'
all=$(logs)
w_metas
w_ok 'committed 0123456789abcdef'
assert_eq "$all" "$(logs)" 'binary logs after a second committed'

# Of another server, or another log of that name: nothing.
w_say "meta server another"
w_say "meta binlog.file ${all##* }"
w_say "meta binlog.position 4"
w_fail 'committed 0123456789abcdef'
w_end
# Of what no transaction is known, nothing is purged.
w_start mariadb
eval "${w_keep/-A/-gA}"
unset 'W_META[gtid]'
w_metas
w_fail 'committed 0123456789abcdef'
w_end
sql 'RESET MASTER; INSERT INTO inno VALUES (4)'
for file in $all; do
	sql 'FLUSH BINARY LOGS'
done
all=$(logs)
w_start mariadb
eval "${w_keep/-A/-gA}"
w_metas
w_fail 'committed 0123456789abcdef'
assert_eq "$all" "$(logs)" 'binary logs of another time'
w_end

# What MySQL knows, too: a read lock.
w_conf mariadb "socket = $socket" 'user = root' 'lock = read-lock'
frozen
hold 'INSERT INTO inno VALUES (1)'
w_wait 10 'a client that waits' are_waiting 1
w_ok thaw
held_go_on 'read lock'
w_end

# No server.
stop_server
w_start mariadb
w_fail 'prepare 0123456789abcdef'
w_end
w_conf mariadb "socket = $socket" 'if-down = ok'
w_start mariadb
w_ok 'prepare 0123456789abcdef'
w_ok freeze
w_ok thaw
w_end
