#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the Redis writer awaits a save of its own that succeeded, and sees a
# restart, a failed save, a password that is missing.
set -eu

# shellcheck source=tests/lib/writers.sh
. "$(dirname "$0")/../lib/writers.sh"

w_setup redis redis-server redis-cli
socket=$W_DIR/s
export REDISCLI_AUTH='it is "secret"'

# serve OPTION...
serve() {
	w_daemon redis redis-server --port 0 --unixsocket "$socket" \
	    --dir "$W_DIR/data" --daemonize no --requirepass "$REDISCLI_AUTH" \
	    --enable-debug-command yes \
	    --save '' "$@" >>"$W_DIR/log"
	w_wait 10 'the server' answers
}

answers() {
	[ "$(redis PING 2>&1)" = PONG ]
}

redis() {
	redis-cli -s "$socket" "$@"
}

info() {
	redis info persistence | tr -d '\r' | sed -n "s/^$1://p"
}

restart() {
	w_stop "$W_DAEMON"
	serve "$@"
}

printf '%s' "$REDISCLI_AUTH" >"$W_DIR/password"
chmod 600 "$W_DIR/password"
w_as redis mkdir "$W_DIR/data"
w_conf redis "socket = $socket" "password-file = $W_DIR/password"

prepared() {
	w_start redis
	w_ok 'prepare 0123456789abcdef'
}

# A snapshot, begun after everything that came before prepare; also when
# another save is at work already.
serve
for round in alone "beside another"; do
	redis debug populate 20000 "$round" >/dev/null
	[ "$round" = alone ] || redis bgsave >/dev/null
	saves=$(info rdb_saves)
	prepared
	assert_eq "$W_DIR/data;" "$W_DATA" place
	assert_num "$(info rdb_saves)" -gt "$saves" "saves, $round"
	assert_eq 0 "$(info rdb_changes_since_last_save)" "changes, $round"
	redis set after 1 >/dev/null
	w_ok freeze
	assert_eq 1 "${W_META[changes]}"
	assert_eq "$(info rdb_last_save_time)" "${W_META[lastsave]}"
	assert_eq 0 "${W_META[aof]}"
	assert_match "${W_META[offset]}" '^[0-9]+$'
	w_ok thaw
	w_fail thaw
	w_metas
	w_ok 'committed 0123456789abcdef'
	w_ok abort
	w_end
done

# What was saved is what a restored server has; a restart while frozen is
# seen.
redis set before 1 >/dev/null
prepared
redis set after 2 >/dev/null
w_ok freeze
restart
assert_eq 1 "$(redis get before)" 'what was written before the save'
assert_eq 1 "$(redis get after)" 'what was written after the save'
w_fail thaw
assert_contains "$W_REASON" restarted
w_end

# With an append-only file everything that was answered is there.
restart --appendonly yes --appendfsync everysec
redis debug populate 20000 x >/dev/null
base() {
	basename "$(find "$W_DIR/data" -name '*.base.rdb')"
}
old=$(base)
prepared
assert_ne "$old" "$(base)" 'base of the append-only file'
assert_eq 0 "$(info aof_rewrite_in_progress)"
redis set after 3 >/dev/null
w_ok freeze
assert_eq 1 "${W_META[aof]}"
w_ok thaw
w_end
old=$(base)
w_conf redis "socket = $socket" "password-file = $W_DIR/password" 'save = none'
prepared
assert_eq "$old" "$(base)" 'base of the append-only file, save = none'
w_end
restart --appendonly yes
assert_eq 3 "$(redis get after)" 'what was answered before the freeze'

# A save that fails, or takes too long, or cannot be: no word of a backup.
restart
w_conf redis "socket = $socket" "password-file = $W_DIR/password" \
    'prepare-timeout = 2'
chmod 500 "$W_DIR/data"
w_start redis
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" 'bgsave failed'
w_fail freeze
w_end
chmod 700 "$W_DIR/data"
redis config set rdb-key-save-delay 10000 >/dev/null
w_start redis
w_fail 'prepare 0123456789abcdef' 5
assert_contains "$W_REASON" 'too long'
w_end
w_conf redis "socket = $socket" "password-file = $W_DIR/password" 'save = aof'
restart
w_start redis
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" 'no append-only file'
w_end

# A server that hangs is not waited for; nor one that wants a password.
w_conf redis "socket = $socket" "password-file = $W_DIR/password" \
    'freeze-timeout = 1'
prepared
kill -STOP "$W_DAEMON"
w_fail freeze 4
kill -CONT "$W_DAEMON"
w_end
w_conf redis "socket = $socket"
w_start redis
w_fail 'prepare 0123456789abcdef'
assert_contains "$W_REASON" NOAUTH
w_end
w_conf redis "socket = $socket" "password-file = $W_DIR/none"
w_start redis
w_fail 'prepare 0123456789abcdef'
w_end

# No server.
w_stop "$W_DAEMON"
w_conf redis "socket = $socket"
w_start redis
w_fail 'prepare 0123456789abcdef'
w_end
w_conf redis "socket = $socket" 'if-down = ok'
prepared
w_ok freeze
w_ok thaw
w_end
