# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The test rig: real guests under libvirt and QEMU for tests/e2e/*.sh.
#
#	. "$(dirname "$0")/../lib/rig.sh"
#	rig_start
#	rig_guest_create web --disk vda:512M:ext4 --disk vdb:512M:xfs
#	rig_guest_exec web 'ls /mnt/a /mnt/b'
#	holdstill backup "$(rig_domain web)"
#
# Environment:
#	HOLDSTILL_BUILD       build directory; its guest-helper/holdstill-guest
#	                      goes into the guests, agent/ into PATH
#	HOLDSTILL_TEST_DIR    parent of the work directory (default /var/tmp)
#	HOLDSTILL_TEST_CACHE  kernel and guest image, kept between runs
#	                      (default /var/cache/holdstill-test)
#	HOLDSTILL_TEST_KEEP   set: the work directory is kept for a look
#	HOLDSTILL_TEST_ACCEL  kvm or qemu: no probing
#
# What lies where:
#	rig.sh          start and stop, libvirtd, waiting
#	rig_image.sh    kernel and initramfs of the guests
#	rig_guest.sh    guests: create, run commands, writer, destroy
#	rig_disk.sh     reference images and comparing of disks
#	assert.sh       assertions, skip
#
# Functions of this file:
#	rig_start             makes RIG_DIR, starts what is needed; an EXIT
#	                      trap undoes all of it. Skips the test (77) on a
#	                      machine that cannot run guests.
#	rig_stop              what the trap runs; may be called before.
#	rig_on_exit CMD...    runs CMD first thing in rig_stop (last in, first
#	                      out).
#	rig_wait_for SECONDS WHAT CMD...
#	                      until CMD succeeds; else says WHAT, returns 1.
#	rig_small_fs NAME SIZE
#	                      an ext4 of SIZE on a loop device at
#	                      $RIG_DIR/NAME, writable to QEMU. To be made before
#	                      the guest is started: QEMU sees no later mounts.
#	rig_proc_id PID       "PID-STARTTIME" of a live process, else nothing
#	                      (a zombie is not alive).
#	rig_end_proc ID       ends the process of such an id, and waits.
#
# Variables: RIG_DIR (work directory), RIG_ACCEL (kvm|qemu), RIG_CACHE.
# Several tests may run at once: they share one libvirtd, which the last one
# ends if a test started it.

RIG_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RIG_CACHE=${HOLDSTILL_TEST_CACHE:-/var/cache/holdstill-test}
RIG_URI=qemu:///system
RIG_SHARED=/run/holdstill-test
RIG_DIR=
RIG_ACCEL=
_rig_exit_commands=()

# shellcheck source=tests/lib/assert.sh
. "$RIG_LIB/assert.sh"
# shellcheck source=tests/lib/rig_image.sh
. "$RIG_LIB/rig_image.sh"
# shellcheck source=tests/lib/rig_guest.sh
. "$RIG_LIB/rig_guest.sh"
# shellcheck source=tests/lib/rig_disk.sh
. "$RIG_LIB/rig_disk.sh"

export LC_ALL=C
export LIBVIRT_DEFAULT_URI=$RIG_URI

rig_say() {
	echo "rig: $*" >&2
}

rig_proc_id() {
	local stat state start

	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	# The name in parentheses may hold spaces: count behind it.
	stat=${stat##*) }
	state=${stat%% *}
	start=$(awk '{ print $20 }' <<<"$stat")
	[ "$state" = Z ] || echo "$1-$start"
}

_rig_proc_gone() {
	[ "$(rig_proc_id "${1%-*}")" != "$1" ]
}

rig_end_proc() {
	_rig_proc_gone "$1" && return 0
	kill "${1%-*}" 2>/dev/null
	rig_wait_for 15 "end of process $1" _rig_proc_gone "$1" && return 0
	kill -9 "${1%-*}" 2>/dev/null
	rig_wait_for 5 "end of killed process $1" _rig_proc_gone "$1"
}

rig_wait_for() {
	local seconds=$1 what=$2 end
	shift 2

	end=$((SECONDS + seconds + 1))
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			rig_say "no $what within ${seconds}s"
			return 1
		fi
		sleep 0.05
	done
}

rig_on_exit() {
	_rig_exit_commands+=("$(printf '%q ' "$@")")
}

rig_small_fs() {
	local dir=$RIG_DIR/$1 image=$RIG_DIR/$1.fs

	truncate -s "$2" "$image" && mkdir -p "$dir" &&
	    mke2fs -q -F -t ext4 -O ^has_journal -m 0 "$image" &&
	    mount -o loop "$image" "$dir" && chmod 1777 "$dir"
}

# Runs a function while no other rig starts or stops anything.
_rig_locked() {
	mkdir -p "$RIG_SHARED/users"
	(
		flock 9
		"$@"
	) 9>"$RIG_SHARED/lock"
}

_rig_libvirt_answers() {
	timeout 20 virsh -q uri >/dev/null 2>&1
}

# Starts daemon $1 and remembers it as ours. Under its usual pid file, so that
# a second one cannot start beside it and take its socket away.
_rig_daemon_start() {
	local pidfile=/run/$1.pid

	"$1" -d 9>&- >/dev/null 2>&1 || return 0
	rig_wait_for 10 "pid of $1" test -s "$pidfile" &&
	    rig_proc_id "$(cat "$pidfile")" >"$RIG_SHARED/$1.ours"
}

_rig_daemon_stop() {
	local ours=$RIG_SHARED/$1.ours

	[ -s "$ours" ] && rig_end_proc "$(cat "$ours")"
	rm -f "$ours"
}

_rig_daemon_lives() {
	local pid

	for pid in $(pidof "$1"); do
		[ -z "$(rig_proc_id "$pid")" ] || return 0
	done
	return 1
}

# QEMU runs as another user; without this libvirt probes it at each define.
_rig_kvm_open() {
	local mode

	[ -c /dev/kvm ] || return 0
	mode=$(stat -c %a /dev/kvm)
	[ "$mode" = 666 ] && return 0
	[ -e "$RIG_SHARED/kvm.mode" ] || echo "$mode" >"$RIG_SHARED/kvm.mode"
	chmod 666 /dev/kvm
}

_rig_kvm_close() {
	[ -s "$RIG_SHARED/kvm.mode" ] || return 0
	chmod "$(cat "$RIG_SHARED/kvm.mode")" /dev/kvm
	rm -f "$RIG_SHARED/kvm.mode"
}

# Removes what rigs left whose process is gone (kill -9, time limit).
_rig_sweep() {
	local user dir

	for user in "$RIG_SHARED"/users/*; do
		[ -e "$user" ] || continue
		_rig_proc_gone "${user##*/}" || continue
		dir=$(cat "$user")
		rig_say "sweeping up after ${user##*/}"
		_rig_clean_dir "$dir"
		rm -f "$user"
	done
}

_rig_libvirt_start() {
	_rig_libvirt_answers && return 0
	# One that has just been started by somebody else is waited for.
	if _rig_daemon_lives libvirtd &&
	    rig_wait_for 10 "answer from libvirtd" _rig_libvirt_answers; then
		return 0
	fi
	_rig_kvm_open
	_rig_daemon_start virtlogd
	_rig_daemon_start libvirtd
	rig_wait_for 60 "answer from libvirtd" _rig_libvirt_answers
}

_rig_host_start() {
	_rig_libvirt_start || return 1
	_rig_sweep
	echo "$RIG_DIR" >"$RIG_SHARED/users/$_rig_me"
}

_rig_host_stop() {
	_rig_clean_dir "$1"
	rm -f "$RIG_SHARED/users/$_rig_me"
	_rig_sweep
	# A domain that still runs is somebody else's, who needs libvirtd.
	if [ -z "$(ls "$RIG_SHARED/users")" ] &&
	    [ -z "$(virsh -q list --name 2>/dev/null)" ]; then
		_rig_daemon_stop libvirtd
		_rig_daemon_stop virtlogd
		_rig_kvm_close
	fi
}

# Domains, mounts and files of the work directory $1.
_rig_clean_dir() {
	local dir=$1 dom mnt id

	case $dir in */holdstill-test.*) ;; *) return 0 ;; esac
	# Somebody may have ended libvirtd under us: it is needed once more.
	if [ -n "$(_rig_qemus_of "$dir")" ]; then
		_rig_libvirt_start
	fi
	for dom in $(virsh -q list --all --name 2>/dev/null); do
		_rig_domain_is_of "$dom" "$dir" && _rig_domain_remove "$dom"
	done
	for id in $(_rig_qemus_of "$dir"); do
		rig_end_proc "$id"
	done
	awk -v d="$dir/" 'index($2, d) == 1 { print $2 }' /proc/mounts |
	    sort -r | while read -r mnt; do
		umount "$mnt" || umount -l "$mnt"
	done
	losetup -n -O NAME,BACK-FILE | awk -v d="$dir/" \
	    'index($2, d) == 1 { print $1 }' | xargs -r -n 1 losetup -d
	[ -n "${HOLDSTILL_TEST_KEEP:-}" ] || rm -rf --one-file-system "$dir"
}

# Ids of the QEMU processes that work in the directory $1.
_rig_qemus_of() {
	local proc

	for proc in /proc/[0-9]*; do
		tr '\0' ' ' <"$proc/cmdline" |
		    grep -q "^[^ ]*qemu-system-.*$1/" &&
			rig_proc_id "${proc#/proc/}"
	done 2>/dev/null
}

# A domain is a rig's when its definition names the rig's directory, or when
# its disks lie there (a domain restored by the test, say).
_rig_domain_is_of() {
	virsh -q dumpxml --inactive "$1" 2>/dev/null | grep -qF "$2/"
}

_rig_need() {
	local tool

	[ "$(id -u)" = 0 ] || skip "the rig needs root"
	for tool in "$@"; do
		[ -n "$(command -v "$tool")" ] || skip "no $tool here"
	done
}

rig_start() {
	local parent=${HOLDSTILL_TEST_DIR:-/var/tmp}

	_rig_need virsh libvirtd virtlogd qemu-system-x86_64 qemu-img busybox \
	    cpio gcc python3 mke2fs flock losetup jq
	_rig_me=$(rig_proc_id $$)
	mkdir -p "$parent"
	RIG_DIR=$(mktemp -d "$parent/holdstill-test.XXXXXX") || return 1
	# Its scratch and sockets are made by QEMU, which is not root.
	chmod 1777 "$RIG_DIR"
	export RIG_DIR
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap _rig_exit EXIT
	if [ -n "${HOLDSTILL_BUILD:-}" ]; then
		PATH=$HOLDSTILL_BUILD/agent:$PATH
	fi
	_rig_locked rig_build_guest || return 1
	_rig_locked _rig_host_start || return 1
	RIG_ACCEL=$(_rig_locked _rig_accel)
	export HOLDSTILL_TEST_ACCEL=$RIG_ACCEL
}

_rig_exit() {
	local status=$?

	trap '' INT TERM HUP
	rig_stop
	exit "$status"
}

rig_stop() {
	local i dir=$RIG_DIR

	[ -n "$dir" ] || return 0
	set +e
	for ((i = ${#_rig_exit_commands[@]} - 1; i >= 0; i--)); do
		eval "${_rig_exit_commands[i]}"
	done
	_rig_exit_commands=()
	RIG_DIR=
	_rig_locked _rig_host_stop "$dir"
	trap - EXIT
}
