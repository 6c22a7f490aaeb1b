#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the guest's part works as it is installed, under systemd of a Debian:
# confined, in init's mount namespace, started again when it dies, and not
# when guest.conf is wrong; what guest.conf says reaches the host.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/rig_debian.sh
. "$(dirname "$0")/../lib/rig_debian.sh"

guest() {
	rig_guest_exec db "$1"
}

unit() {
	guest "systemctl show -P $1 holdstill-guest.service"
}

# A helper other than $1 runs, and answers.
is_new() {
	local pid

	pid=$(unit MainPID)
	[ "$pid" != 0 ] && [ "$pid" != "$1" ] &&
	    holdstill guest status "$domain" >/dev/null 2>&1
}

is_state() {
	[ "$(unit ActiveState)" = "$1" ]
}

is_confined() {
	local status

	status=$(guest "cat /proc/$(unit MainPID)/status")
	assert_match "$status" 'NoNewPrivs:[[:blank:]]+1'
	assert_match "$status" 'Seccomp:[[:blank:]]+2'
	# DAC_READ_SEARCH, IPC_LOCK, SYS_PTRACE, SYS_ADMIN, SYS_NICE,
	# SYS_RESOURCE.
	assert_match "$status" 'CapEff:[[:blank:]]+0000000001a84004'
	assert_match "$status" 'CapPrm:[[:blank:]]+0000000001a84004'
	assert_match "$status" 'CapBnd:[[:blank:]]+0000000000000000'
	assert_match "$status" 'CapInh:[[:blank:]]+0000000000000000'
}

rig_start
rig_debian_create db
domain=$(rig_domain db)
rig_wait_for 60 "the helper" is_new 0

# ---- as installed ----

is_confined
assert_eq "$(guest 'readlink /proc/1/ns/mnt')" \
    "$(guest "readlink /proc/$(unit MainPID)/ns/mnt")" "mount namespace"
out=$(guest 'holdstill-guest --check')
assert_match "$out" '^vdb +ext4 +freeze +/srv/data$'
assert_contains "$out" 'no writers in /etc/holdstill/writers.d'
assert_ok holdstill guest freeze-test "$domain"
assert_contains "$ASSERT_OUT" 'proved'

# ---- guest.conf ----

guest 'mkdir -p /etc/holdstill
printf "[filesystems]\nskip = /srv/data\n" >/etc/holdstill/guest.conf
systemctl restart holdstill-guest'
rig_wait_for 60 "the helper" is_new 0
assert_ok holdstill guest status "$domain"
assert_match "$ASSERT_OUT" '/srv/data.*guest\.conf'

guest 'echo "[limit]" >>/etc/holdstill/guest.conf
systemctl restart holdstill-guest'
rig_wait_for 60 "the unit to fail" is_state failed
assert_eq 2 "$(unit ExecMainStatus)"
assert_contains "$(guest 'journalctl -u holdstill-guest --no-pager')" \
    '/etc/holdstill/guest.conf:3: unknown section [limit]'
assert_contains "$(guest 'holdstill-guest --check 2>&1 || echo "exit $?"')" \
    'exit 2'

# ---- it dies again and again, and comes back ----

guest 'rm /etc/holdstill/guest.conf; systemctl restart holdstill-guest'
rig_wait_for 60 "the helper" is_new 0
for _ in 1 2 3 4 5 6; do
	pid=$(unit MainPID)
	guest "kill -9 $pid"
	rig_wait_for 60 "a new helper" is_new "$pid"
done
is_confined
assert_ok holdstill guest freeze-test "$domain"

# ---- stopped in a freeze, it thaws first ----

holdstill guest freeze-test "$domain" --hold 20000 >"$RIG_DIR/held" 2>&1 &
held=$!
rig_wait_for 60 "the freeze" guest '[ -e /run/holdstill/frozen.* ]'
begin=$SECONDS
guest 'systemctl stop holdstill-guest; : >/srv/data/written'
assert_num $((SECONDS - begin)) -lt 15 "seconds until it could be written"
wait "$held" && fail "a freeze was proved that its helper's end had cut short"
assert_eq inactive "$(unit ActiveState)"
