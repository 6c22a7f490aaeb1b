#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a guest that reboots, powers off or is destroyed in any step of its
# backup makes no trouble: the backup ends in time with a plain word or a
# point that claims no more than is true, the host keeps nothing of it, and
# the next backup is as good as any. A QEMU guest agent beside the helper is
# not disturbed.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

limit=250
tries=0
step=
event=

# A writer that stays in the step named in /run/stay for as long as it is.
put_writer() {
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec web 'mkdir -p /etc/holdstill/writers.d
		cat >/etc/holdstill/writers.d/stay <<-"END"
		#!/bin/sh
		while read -r verb rest; do
			case $verb in meta) continue ;; esac
			if [ "$(cat /run/stay 2>/dev/null)" = "$verb" ]; then
				: >/run/stays
				while [ -e /run/stay ]; do sleep 0.05; done
			fi
			echo ok
		done
		END
		chmod 755 /etc/holdstill/writers.d/stay'
}

# The backup in the background, in HS_PID, is in that step.
reach() {
	case $1 in
	prepare | freeze)
		rig_guest_exec web "echo $1 >/run/stay"
		HS_STDERR=$RIG_DIR/err
		holdstill backup "$HS_DOM" >"$RIG_DIR/out" 2>"$HS_STDERR" &
		HS_PID=$!
		rig_wait_for 15 "writer in $1" \
		    rig_guest_exec web 'test -e /run/stays'
		;;
	frozen) hs_hold_frozen holdstill backup -v "$HS_DOM" ;;
	streaming) hs_hold streaming holdstill backup -v "$HS_DOM" ;;
	esac
}

cause() {
	case $1 in
	reboot | poweroff) rig_guest_exec web "$1" ;;
	destroy) virsh -q destroy "$HS_DOM" ;;
	esac
}

has_ended() {
	_rig_proc_gone "$HS_ID"
}

boot_id() {
	rig_guest_exec web 'cat /proc/sys/kernel/random/boot_id'
}

guest_up() {
	case $event in
	reboot) rig_wait_for 150 "reboot" _rig_guest_booted_anew web "$boot" ;;
	*)
		rig_wait_for 30 "end of the guest" \
		    _rig_domain_is web "shut off"
		rig_guest_start web
		;;
	esac
	hs_helper_wait web
	put_writer
	rig_guest_writer_start web
}

try() {
	local status=0 start=$SECONDS
	step=$1
	event=$2

	tries=$((tries + 1))
	boot=$(boot_id)
	points=$(hs_count web)
	reach "$step"
	HS_ID=$(rig_proc_id "$HS_PID")
	cause "$event"
	kill -CONT "$HS_PID"
	rig_wait_for "$limit" "end of the backup" has_ended ||
		fail "$event in $step: no end; it said: $(cat "$HS_STDERR")"
	hs_wait || status=$?
	echo "$event in $step: $status after $((SECONDS - start)) s: $(
	    tail -n 1 "$HS_STDERR")"
	assert_ok hs_clean web
	guest_up
	assert_result "$status"
	assert_next
}

# A guest that was destroyed may have lost its bitmaps, which is said by 3.
assert_next() {
	local status=0

	hs_backup web "$RIG_DIR/next" --require application || status=$?
	case $status in
	0 | 3) ;;
	*) fail "next backup: $status: $(cat "$RIG_DIR/next.err")" ;;
	esac
	hs_assert_clean "$(hs_point "$RIG_DIR/next")"
}

# Failed with a word and without a point; or a point that is what it says.
assert_result() {
	local dir=$RIG_DIR/claim clean=0

	if [ "$1" != 0 ] && [ "$1" != 3 ]; then
		assert_eq 1 "$1" "exit status"
		assert_match "$(cat "$HS_STDERR")" '^holdstill: .{20}'
		assert_eq "$points" "$(hs_count web)" points
		return
	fi
	assert_eq $((points + 1)) "$(hs_count web)" points
	if [ "$(hs_latest web .consistency)" = crash ]; then
		assert_ne "" "$(hs_latest web .consistency_reason)" reason
		return
	fi
	assert_eq true "$(hs_latest web .freeze.proved)" proved
	assert_ok holdstill restore "$HS_DOM@latest" --to "$dir"
	rig_ext4_needs_recovery "$dir/vda.qcow2" || clean=$?
	assert_eq 1 "$clean" "needs_recovery of a point that is not crash"
	rm -r "$dir"
}

qga_pid() {
	rig_guest_exec web 'pidof qemu-ga'
}

qga() {
	virsh -q qemu-agent-command "$HS_DOM" "{\"execute\":\"$1\"}"
}

# The agent of QEMU answers while our helper does its work, and sees none of
# it but frozen file systems.
assert_beside_qga() {
	local pid
	pid=$(qga_pid)

	hs_hold streaming holdstill backup -v "$HS_DOM"
	assert_ok qga guest-ping
	assert_contains "$(qga guest-fsfreeze-status)" thawed
	kill -CONT "$HS_PID"
	assert_ok hs_wait
	assert_eq holdstill "$(hs_latest web .freeze.source)" source
	assert_ok qga guest-fsfreeze-freeze
	assert_ok qga guest-fsfreeze-thaw
	assert_eq "$pid" "$(qga_pid)" "process of qemu-ga"
}

hs_guest --qga
hs_helper_wait web
put_writer
rig_guest_writer_start web
hs_make 0 "" --require application

assert_beside_qga

for step in prepare freeze frozen streaming; do
	for event in reboot poweroff destroy; do
		case $step-$event-${HOLDSTILL_ROUNDS:-} in
		prepare-destroy- | freeze-poweroff-) continue ;;
		frozen-reboot- | frozen-poweroff-) continue ;;
		streaming-reboot- | streaming-poweroff-) continue ;;
		esac
		try "$step" "$event"
	done
done
echo "count: guests that went away in their backup $tries"
