#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: points of a Debian guest with PostgreSQL and MariaDB under load are what
# they say: "application". Restored, each starts with no manual step; no money
# is lost, every transfer committed before the freeze is there and none begun
# after it. WAL and binary log are cut when the backup is durable, and not when
# it failed after the thaw. HOLDSTILL_ROUNDS backups. Then the same with an
# application that can only be stopped by systemd.
#
# Each point is started from its own two disks at this machine's speed, in a
# chroot with the binaries of the point; the last one under load is booted as a
# guest, too.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/rig_debian.sh
. "$(dirname "$0")/../lib/rig_debian.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

rounds=${HOLDSTILL_ROUNDS:-2}
# Long, for a guest without KVM on a machine that does other things, too.
application=(--require application --lease 40)
bank=/usr/local/lib/rig/bank.py
out=

start_load() {
	rig_guest_exec db "
		mkdir -m 1777 /run/bank
		for s in postgres:postgresql mysql:mariadb; do
			setsid runuser -u \${s%:*} -- python3 $bank run \
			    \${s#*:} 2 /run/bank/\${s#*:} \
			    >/run/bank/\${s#*:}.err 2>&1 &
		done"
}

# Both banks' clients have seen a transfer begun after the instant $1. The
# waiting is the guest's.
wait_load_past() {
	assert_ok rig_guest_exec -t 70 db "
		for s in postgresql mariadb; do
			for i in \$(seq 200); do
				test ! -s /run/bank/\$s.err || break
				begin=\$(tail -n 1 /run/bank/\$s | cut -d ' ' -f 2)
				[ \"\${begin:-0}\" -le $1 ] || continue 2
				sleep 0.3
			done
			cat /run/bank/\$s.err
			exit 1
		done" 2>/dev/null
}

# The oldest that there is: WAL of the slot, of the archive; binary log.
oldest_logs() {
	rig_guest_exec db '
		runuser -u postgres -- /usr/lib/postgresql/15/bin/psql -qAtc \
		    "select restart_lsn from pg_replication_slots"
		ls /srv/data/archive | grep -xE -m 1 "[0-9A-F]{24}" || echo none
		mariadb -Ne "show binary logs" | cut -f 1 | head -n 1'
}

# So that there is something to cut.
turn_logs() {
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec db '
		runuser -u postgres -- /usr/lib/postgresql/15/bin/psql -qAtc \
		    "select pg_switch_wal()"
		mariadb -e "flush binary logs"
		for i in $(seq 100); do
			ls /srv/data/archive | grep -qxE "[0-9A-F]{24}" && exit
			sleep 0.2
		done
		exit 1' >/dev/null
}

# A backup that fails when the guest writes again: its repository takes no
# point (even rounds), or it is killed (odd).
fail_after_thaw() {
	hs_hold streaming holdstill backup -v "${application[@]}" "$HS_DOM"
	if [ $((round % 2)) = 0 ]; then
		mv "$HOLDSTILL_REPO/points" "$HOLDSTILL_REPO/points.away"
		echo >"$HOLDSTILL_REPO/points"
		kill -CONT "$HS_PID"
		assert_exit 1 hs_wait
		rm "$HOLDSTILL_REPO/points"
		mv "$HOLDSTILL_REPO/points.away" "$HOLDSTILL_REPO/points"
	else
		kill -9 "$HS_PID"
		hs_wait || true
	fi
	# There is no point, so there is nothing to tell.
	assert_ok holdstill --json recover
	assert_json "$ASSERT_OUT" '.recover.owed == 0 and .recover.kept == 0'
}

# Every one of the logs is cut, or none is.
assert_logs() {
	local want=$1 before=$2 now was is
	now=$(oldest_logs)

	assert_lines 3 "$now" "oldest logs"
	while read -r was is; do
		case $want-$was in
		kept-"$is") ;;
		kept-*) fail "cut by a failed backup: '$was', now '$is'" ;;
		cut-"$is") fail "not cut: '$was'" ;;
		esac
	done < <(paste -d ' ' <(echo "$before") <(echo "$now"))
}

assert_point() {
	assert_json "$HS_JSON" '.points[0].consistency == "application" and
	    .points[0].freeze.proved and
	    ([.points[0].freeze.writers[].name] | sort | join(" ")) == "'"$1"'"'
}

# check SERVER COMMAND...: what the restored server has fits what was seen.
check_bank() {
	local server=$1
	shift

	"$@" "/usr/local/lib/rig/check $server" >"$out/$server.ids"
	assert_ok python3 "$RIG_LIB/rig_bank.py" "$RIG_DIR/$server.acks" \
	    "$out/$server.ids" "$begin" "$end"
	echo "$server, point $HS_POINT: $ASSERT_OUT"
}

check_banks() {
	check_bank postgresql "$@"
	check_bank mariadb "$@"
}

fetch_acks() {
	local server

	wait_load_past "$end"
	for server in postgresql mariadb; do
		rig_guest_exec db "cat /run/bank/$server" \
		    >"$RIG_DIR/$server.acks"
	done
}

rig_start
hs_init_repo
HS_DOM=$(rig_domain db)
out=$RIG_DIR/out
rig_debian_create db
rig_guest_helper_wait db
slow=('prepare_timeout = 100' 'freeze_timeout = 15')
rig_guest_exec db 'mkdir -p /etc/holdstill
    printf "%s\n" "[writers]" prepare-timeout=110 \
    freeze-timeout=20 thaw-timeout=20 committed-timeout=100 \
    >/etc/holdstill/guest.conf; systemctl restart holdstill-guest'
rig_debian_writer db postgresql "${slow[@]}" 'slot = 15/main holdstill' \
    'archive = 15/main /srv/data/archive'
rig_debian_writer db mariadb "${slow[@]}" 'purge = yes'
start_load
wait_load_past 0
hs_helper_wait db
hs_make 0 "" "${application[@]}"

for ((round = 0; round < rounds; round++)); do
	turn_logs
	logs=$(oldest_logs)
	fail_after_thaw
	assert_logs kept "$logs"
	hs_make 0 "" "${application[@]}"
	assert_point 'mariadb postgresql'
	begin=$(jq '.points[0].freeze.begin_ns' <<<"$HS_JSON")
	end=$(jq '.points[0].freeze.end_ns' <<<"$HS_JSON")
	assert_num "$begin" -gt 0 "freeze begun"
	assert_logs cut "$logs"
	fetch_acks

	assert_ok holdstill restore "$HS_POINT" --to "$out" --format raw
	check_banks rig_debian_chroot "$out"
	rm -rf "$out"
done

loaded=$HS_POINT

# What is careless enough to be wrong at any other instant is right when it was
# stopped.
assert_ok rig_guest_exec -t 60 db 'pkill -f [b]ank.py; systemctl start rig-notes'
rig_debian_writer db systemd "${slow[@]}" 'unit = rig-notes.service'
hs_make 0 "" "${application[@]}"
assert_point 'mariadb postgresql systemd'
assert_ok rig_guest_exec db 'systemctl is-active rig-notes'
assert_ok holdstill restore "$HS_POINT" --to "$out" --format raw
assert_ok rig_debian_chroot "$out" '/usr/local/lib/rig/check notes'
rm -rf "$out"
rig_guest_destroy db

# Booted by itself.
HS_POINT=$loaded
assert_ok holdstill restore "$HS_POINT" --to "$out"
rig_debian_create restored --from "$out"
assert_eq "" "$(rig_guest_exec restored 'systemctl --failed -q')"
check_banks rig_guest_exec restored
echo "count: backups $rounds, each after one that failed"
