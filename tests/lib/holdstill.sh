# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the end-to-end tests do with holdstill again and again. To be sourced
# after rig.sh.
#
#	hs_init_repo          an empty repository, RIG_DIR/repo, and state folder,
#	                      RIG_DIR/state, both in the environment
#	hs_backup NAME OUT [OPTION...]
#	                      backup of the guest NAME, its JSON to the file OUT;
#	                      exit status of it. What it says goes to OUT.err.
#	hs_point OUT [FILTER] what jq's FILTER (default: .id) says of the first
#	                      point of such a file
#	hs_latest NAME [FILTER]     the same of the guest's latest point
#	hs_count NAME         how many points the guest has
#	hs_restore_and_compare POINT REFDIR [FORMAT]
#	                      restores POINT (FORMAT qcow2 or raw) and compares
#	                      each disk with REFDIR/DEV.raw; fails the test when
#	                      one differs. The folder of it is in HS_RESTORED.
#	hs_hold STEP PROGRAM...
#	                      starts PROGRAM in the background, which says its
#	                      steps on standard error, and stops it (SIGSTOP) when
#	                      it says STEP. Its process is HS_PID; what it says
#	                      goes to HS_STDOUT and HS_STDERR.
#	hs_wait               until HS_PID has ended and all that it said is in
#	                      HS_STDERR; the status is its
#	hs_hold_frozen PROGRAM...
#	                      the same of a backup of web in the freeze: it is
#	                      let run for a few milliseconds at a time until the
#	                      guest's writes have stopped. Needs writers.
#	hs_frozen             the helper in web has frozen, and nothing is
#	                      written in any folder
#	hs_without_libvirt CMD...
#	                      runs CMD where libvirt cannot be reached
#	hs_clean NAME         true when the guest has no job and its scratch
#	                      folder is empty
#	hs_guest [GUEST-OPTION...]
#	                      rig_start, hs_init_repo and a guest "web" with its
#	                      helper up, called HS_DOM in libvirt; two small ext4
#	                      unless disks are among the options
#	hs_helper_wait NAME   until the guest's helper answers to the host
#	hs_make STATUS REFDIR [OPTION...]
#	                      a backup of web with --json must exit with STATUS;
#	                      HS_JSON is its JSON, HS_POINT the point's id,
#	                      ASSERT_ERR what it said. Unless REFDIR is "", the
#	                      guest is paused around the picture and
#	                      REFDIR/DEV.raw are its disks at that instant.
#	hs_assert_disk DISK FILTER
#	                      jq's FILTER is true of the disk in HS_JSON
#	hs_checkpoints        names of holdstill's checkpoints of web
#	hs_bitmaps            names of holdstill's bitmaps in web's QEMU, one
#	                      line for each disk
#	hs_assert_clean [POINT]
#	                      no job, no scratch folder with its socket; one
#	                      checkpoint, POINT's (without POINT: none), and no
#	                      bitmap but that checkpoint's

hs_init_repo() {
	export HOLDSTILL_REPO=$RIG_DIR/repo
	export HOLDSTILL_STATE_DIR=$RIG_DIR/state
	assert_ok holdstill init
}

hs_backup() {
	local dom out=$2
	dom=$(rig_domain "$1")
	shift 2

	holdstill backup --json "$dom" "$@" >"$out" 2>"$out.err"
}

hs_point() {
	jq -r ".points[0] | ${2:-.id}" "$1"
}

hs_latest() {
	holdstill show --json "$(rig_domain "$1")@latest" | jq -r "${2:-.id}"
}

hs_count() {
	holdstill list --json "$(rig_domain "$1")" | jq '.points | length'
}

hs_restore_and_compare() {
	local point=$1 ref=$2 format=${3:-qcow2} image dev

	HS_RESTORED=$(mktemp -d "$RIG_DIR/restored.XXXXXX")
	assert_ok holdstill restore "$point" --to "$HS_RESTORED" \
	    --format "$format"
	for image in "$ref"/*.raw; do
		dev=$(basename "$image" .raw)
		rig_disk_compare "$HS_RESTORED/$dev.$format" "$image" ||
		    fail "$dev of point $point differs from $image"
	done
}

hs_hold() {
	local step=$1 fifo line
	shift

	fifo=$(mktemp -u "$RIG_DIR/held.XXXXXX")
	HS_STDOUT=$fifo.out
	HS_STDERR=$fifo.err
	: >"$HS_STDERR"
	mkfifo "$fifo" || return 1
	"$@" >"$HS_STDOUT" 2>"$fifo" &
	HS_PID=$!
	exec {hs_fd}<"$fifo"
	while IFS= read -r line <&"$hs_fd"; do
		echo "$line" >>"$HS_STDERR"
		case $line in
		*"$step"*)
			kill -STOP "$HS_PID" || return 1
			# The rest of what it says, until it ends.
			cat <&"$hs_fd" >>"$HS_STDERR" &
			HS_READER=$!
			exec {hs_fd}<&-
			rm -f "$fifo"
			return 0
			;;
		esac
	done
	cat "$HS_STDERR" >&2
	rig_say "the program ended without a step '$step'"
	return 1
}

hs_wait() {
	local status=0

	wait "$HS_PID" 2>/dev/null || status=$?
	[ -z "${HS_READER:-}" ] || wait "$HS_READER" || :
	HS_READER=
	return "$status"
}

hs_hold_frozen() {
	local try turn

	for ((try = 0; try < 25; try++)); do
		hs_hold "hold still" "$@"
		for ((turn = 0; turn < 40; turn++)); do
			hs_frozen && return 0
			grep -q streaming "$HS_STDERR" && break
			kill -CONT "$HS_PID" 2>/dev/null || break
			sleep 0.01
			kill -STOP "$HS_PID" 2>/dev/null || break
		done
		# Missed it: the picture was taken between two looks, or it
		# has ended because the guest could not freeze.
		kill -CONT "$HS_PID" 2>/dev/null || true
		hs_wait || true
	done
	fail "no freeze was met in $try backups: $(cat "$HS_STDERR")"
}

hs_frozen() {
	local dir

	# A busy machine alone may keep a guest from writing for a while.
	rig_guest_exec web 'test -e /run/holdstill/frozen.* && usleep 200000' ||
	    return 1
	for dir in $(rig_guest_exec web 'cat /run/rig/mounts'); do
		[ "$(rig_guest_write_gap web "$dir")" -ge 150 ] || return 1
	done
}

hs_without_libvirt() {
	# shellcheck disable=SC2016 # expanded inside
	unshare -m bash -c '
		mount -t tmpfs none /run/libvirt && exec "$@"' bash "$@"
}

hs_clean() {
	! rig_job_runs "$1" &&
	    [ -z "$(ls -A "$HOLDSTILL_STATE_DIR/scratch" 2>/dev/null)" ]
}

hs_guest() {
	rig_start
	hs_init_repo
	HS_DOM=$(rig_domain web)
	case " $* " in
	*" --disk "*) ;;
	*) set -- --disk vda:96M:ext4 --disk vdb:64M:ext4 "$@" ;;
	esac
	rig_guest_create web "$@"
	rig_guest_helper_wait web
}

hs_helper_wait() {
	rig_wait_for 60 "answer of the helper in $1" \
	    holdstill guest status "$(rig_domain "$1")" >/dev/null 2>&1 ||
	    return 1
	# What libvirt 9.0 hears late, during a backup, holds it up for 30 s;
	# what it has missed it never hears.
	rig_wait_for 20 "libvirt's word of it" _hs_libvirt_sees "$1" || true
}

_hs_libvirt_sees() {
	virsh -q dumpxml "$(rig_domain "$1")" |
	    grep -q "'org.holdstill.guest.0' state='connected'"
}

hs_make() {
	local status=$1 ref=$2
	shift 2

	set -- holdstill backup --json "$HS_DOM" "$@"
	[ -z "$ref" ] || set -- rig_reference_backup web "$ref" "$@"
	assert_exit "$status" "$@"
	HS_JSON=$ASSERT_OUT
	# shellcheck disable=SC2034 # read by the caller
	HS_POINT=$(jq -r '.points[0].id // empty' <<<"$HS_JSON")
}

hs_assert_disk() {
	assert_json "$HS_JSON" \
	    ".points[0].disks[] | select(.target == \"$1\") | $2" "disk $1"
}

hs_checkpoints() {
	virsh -q checkpoint-list --name "$HS_DOM" | grep '^holdstill-' || true
}

hs_bitmaps() {
	virsh -q qemu-monitor-command "$HS_DOM" \
	    '{"execute":"query-block"}' | jq -r '.return[].inserted |
	    ."dirty-bitmaps"[]?.name | select(startswith("holdstill-"))'
}

hs_assert_clean() {
	local want=${1:-} got

	hs_clean web || fail "a job or its scratch folder is left"
	got=$(hs_checkpoints)
	case $got in
	'') assert_eq "" "$want" "point with a checkpoint" ;;
	holdstill-????????-"$want") ;;
	*) fail "expected the checkpoint of '$want' alone, got '$got'" ;;
	esac
	assert_eq "$got" "$(hs_bitmaps | sort -u)" "bitmaps"
}
