#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the PostgreSQL writer serves all clusters and a standby, flushes what
# was committed, sees a restart, and cleans archives and slots up to the
# recorded place, by `committed` only, once.
set -eu

# shellcheck source=tests/lib/writers.sh
. "$(dirname "$0")/../lib/writers.sh"

w_setup postgres pg_createcluster psql setpriv
version=$(pg_config --version 2>/dev/null | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ -d "/usr/lib/postgresql/$version/bin" ] || skip 'no server of PostgreSQL'
bin=/usr/lib/postgresql/$version/bin
# Clusters of the test's own for Debian's tools, too.
export PG_CLUSTER_CONF_ROOT=$W_DIR/etc
W_ENV=("PG_CLUSTER_CONF_ROOT=$W_DIR/etc")
main=$version/hs-main

# sql SERVER STATEMENT: each has a folder for its socket.
sql() {
	w_as postgres psql -X -A -t -q -h "$W_DIR/$1" -p 54400 -d postgres \
	    -c "$2"
}

# cluster NAME SETTING...
cluster() {
	local name=$1
	shift

	w_as postgres mkdir -p "$W_DIR/$name"
	pg_createcluster -u postgres -d "$W_DIR/$name/data" -p 54400 \
	    -s "$W_DIR/$name" -l "$W_DIR/$name/log" "$version" "$name" \
	    -- --no-sync -A trust >/dev/null
	printf '%s\n' "listen_addresses = ''" 'wal_writer_delay = 10000' \
	    'fsync = off' 'shared_buffers = 4MB' "$@" \
	    >>"$W_DIR/etc/$version/$name/postgresql.conf"
	pg_ctlcluster "$version" "$name" start
	w_on_exit pg_ctlcluster -m immediate "$version" "$name" stop
}

restart() {
	w_apart pg_ctlcluster -m immediate "$version" "$1" restart
}

mkdir -p "$W_DIR/etc" "$W_DIR/archive"
chown postgres "$W_DIR/archive"
# Names that no cluster of this machine has: their PID files share a folder.
cluster hs-main 'archive_mode = on' \
    "archive_command = 'cp %p $W_DIR/archive/%f'"
cluster hs-second
sql hs-main 'CREATE TABLE t (n int)' >/dev/null

archive() {
	find "$W_DIR/archive" -type f -printf '%f\n' | sort | xargs
}

prepared() {
	w_start postgresql
	w_ok 'prepare 0123456789abcdef'
}

# Both clusters; what is said is what they say, and where their files lie: a
# tablespace and the WAL may be elsewhere.
w_as postgres mkdir "$W_DIR/space" "$W_DIR/wal"
sql hs-main "CREATE TABLESPACE s LOCATION '$W_DIR/space'"
pg_ctlcluster "$version" hs-second stop
w_as postgres mv "$W_DIR/hs-second/data/pg_wal" "$W_DIR/wal/"
w_as postgres ln -s "$W_DIR/wal/pg_wal" "$W_DIR/hs-second/data/"
pg_ctlcluster "$version" hs-second start
before=$(sql hs-main 'SELECT pg_current_wal_lsn()')
prepared
assert_eq "$W_DIR/hs-main/data;$W_DIR/hs-second/data;$W_DIR/hs-second/data/pg_wal;\
$W_DIR/space;" "$(tr ';' '\n' <<<"${W_DATA%;}" | sort | tr '\n' ';')" places
redo=$(sql hs-main 'SELECT redo_lsn FROM pg_control_checkpoint()')
assert_eq t "$(sql hs-main "SELECT '$redo'::pg_lsn >= '$before'")" checkpoint
sql hs-main 'SET synchronous_commit = off; INSERT INTO t VALUES (1)'
w_ok freeze
assert_eq 8 "${#W_META[@]}" 'count of meta'
assert_eq "$redo" "${W_META[$version-hs-main.redo]}"
assert_eq "$(sql hs-main 'SELECT redo_wal_file FROM pg_control_checkpoint()')" \
    "${W_META[$version-hs-main.wal]}"
assert_eq "$(sql hs-second 'SELECT system_identifier FROM pg_control_system()')" \
    "${W_META[$version-hs-second.system]}"
lsn=${W_META[$version-hs-main.lsn]}
assert_eq t "$(sql hs-main "SELECT '$lsn' <= pg_current_wal_flush_lsn()")" flushed
# As good as a picture of now: what was committed before the freeze, without
# a flush of its own, is there after recovery.
restart hs-main
assert_eq 1 "$(sql hs-main 'SELECT n FROM t')" 'what was committed'
w_fail thaw
assert_contains "$W_REASON" "$main"
w_end
sql hs-main 'DROP TABLESPACE s'

# Held and let go; the server works on meanwhile.
prepared
w_ok freeze
sql hs-main 'INSERT INTO t VALUES (2)'
w_ok thaw
w_fail thaw
w_end

# However it ends, no connection of it stays.
connections() {
	[ "$(sql hs-main "SELECT count(*) FROM pg_stat_activity
	    WHERE application_name = 'holdstill'")" = "$1" ]
}
for way in end kill kill_group; do
	prepared
	w_ok freeze
	assert_ok connections 1
	"w_$way"
	w_wait 5 "no connection after $way" connections 0
done

# Without configuration nothing is truncated.
switch() {
	local i

	for i in 1 2 3; do
		sql hs-main 'INSERT INTO t VALUES (3)'
		sql hs-main 'SELECT pg_switch_wal()' >/dev/null
	done
	i=$(sql hs-main 'SELECT pg_walfile_name(pg_switch_wal())')
	w_wait 10 "$i in the archive" archived
}
archived() {
	[ "$(sql hs-main 'SELECT last_archived_wal FROM pg_stat_archiver')" = "$i" ]
}
switch
sql hs-main "SELECT pg_create_physical_replication_slot('keep', true)" \
    >/dev/null
slot() {
	sql hs-main 'SELECT restart_lsn FROM pg_replication_slots'
}
prepared
w_ok freeze
w_ok thaw
keep=$(declare -p W_META)
wal=${W_META[$version-hs-main.wal]}
redo=${W_META[$version-hs-main.redo]}
switch
all=$(archive)
at=$(slot)
assert_contains "$all" "$wal"
assert_ne "$at" "$redo" slot
w_metas
w_ok 'committed 0123456789abcdef'
w_end
assert_eq "$all" "$(archive)" archive
assert_eq "$at" "$(slot)" slot

# abort truncates nothing; committed up to the recorded place; a second
# one, in a writer that knows nothing of it, nothing more.
w_conf postgresql "archive = $main $W_DIR/archive" "slot = $main keep"
prepared
w_ok freeze
w_ok thaw
w_ok abort
w_end
assert_eq "$all" "$(archive)" 'archive after abort'
assert_eq "$at" "$(slot)" 'slot after abort'
w_start postgresql
eval "${keep/-A/-gA}"
W_META[$version-hs-main.system]=1
w_metas
w_fail 'committed 0123456789abcdef'
assert_contains "$W_REASON" 'another server'
assert_eq "$all" "$(archive)" 'archive of another server'
for i in 1 2; do
	eval "${keep/-A/-gA}"
	w_metas
	w_ok 'committed 0123456789abcdef'
	assert_eq "$wal${all##*"$wal"}" "$(archive)" "archive, committed $i"
	assert_eq "$redo" "$(slot)" "slot, committed $i"
	switch
	all=$(archive)
done
w_end
# An older point, delivered late, moves nothing back.
w_start postgresql
eval "${keep/-A/-gA}"
W_META[$version-hs-main.redo]=0/1000028
W_META[$version-hs-main.wal]=000000010000000000000001
w_metas
w_ok 'committed 0123456789abcdef'
assert_eq "$all" "$(archive)" 'archive after an old point'
assert_eq "$redo" "$(slot)" 'slot after an old point'
# A place that cannot be: one to come, and none.
for place in FFFFFFFF00000001000000FF 000000010000000100000000 '1; rm'; do
	W_META[$version-hs-main.wal]=$place
	w_metas
	w_fail 'committed 0123456789abcdef'
done
eval "${keep/-A/-gA}"
for place in FF/0 "0/0' OR true --"; do
	W_META[$version-hs-main.redo]=$place
	w_metas
	w_fail 'committed 0123456789abcdef'
done
assert_eq "$all" "$(archive)" 'archive after a wrong place'
assert_eq "$redo" "$(slot)" 'slot after a wrong place'
w_end

# A standby, by a connection string.
w_as postgres "$bin/pg_basebackup" -h "$W_DIR/hs-main" -p 54400 -R \
    -D "$W_DIR/standby/data" -c fast --no-sync
# What was in Debian's folder for configuration.
w_as postgres sh -c "printf '%s\n' 'local all all trust' \
    >'$W_DIR/standby/data/pg_hba.conf'; printf '%s\n' 'port = 54400' \
    'listen_addresses = '\'\' \
    'unix_socket_directories = '\''$W_DIR/standby'\' hot_standby=on \
    >'$W_DIR/standby/data/postgresql.conf'
    : >'$W_DIR/standby/data/pg_ident.conf'"
chmod 755 "$W_DIR/standby"
w_as postgres "$bin/pg_ctl" -D "$W_DIR/standby/data" -w \
    -l "$W_DIR/standby/log" start >/dev/null
w_on_exit w_as postgres "$bin/pg_ctl" -D "$W_DIR/standby/data" -m immediate \
    stop
w_conf postgresql \
    "server = standby host=$W_DIR/standby port=54400 dbname=postgres"
prepared
w_ok freeze
assert_eq 4 "${#W_META[@]}" 'count of meta'
assert_match "${W_META[standby.lsn]}" '^[0-9A-F]+/[0-9A-F]+$'
w_ok thaw
w_end

# Servers that are down: one of several, a named one, all.
pg_ctlcluster -m immediate "$version" hs-second stop
rm "$W_DIR/conf/postgresql.conf"
prepared
assert_contains "$W_NOTES" "$version/hs-second is down"
w_ok freeze
assert_eq 4 "${#W_META[@]}" 'count of meta'
w_ok thaw
w_end
w_conf postgresql "cluster = $main" "cluster = $version/hs-second"
w_start postgresql
w_fail 'prepare 0123456789abcdef'
w_end
w_conf postgresql "cluster = $version/third"
w_start postgresql
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" 'no cluster'
w_end
pg_ctlcluster -m immediate "$version" hs-main stop
rm "$W_DIR/conf/postgresql.conf"
w_start postgresql
w_fail 'prepare 0123456789abcdef'
w_end
w_conf postgresql 'if-down = ok'
prepared
w_ok freeze
w_ok thaw
w_end
