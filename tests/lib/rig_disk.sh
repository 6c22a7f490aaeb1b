# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Disks compared, and reference images taken at the instant of a backup by
# other means than the backup.
#
#	rig_disk_compare A B  same virtual content and size (qemu-img compare)
#	rig_disk_sum IMAGE    SHA-256 of the virtual content
#	rig_ext4_needs_recovery IMAGE
#	                      true when the ext4 on the whole of IMAGE (raw or
#	                      qcow2) was not cleanly frozen or unmounted
#	rig_reference_image NAME OUTDIR
#	                      every disk of the guest as OUTDIR/DEV.raw; the
#	                      guest is paused meanwhile (and stays paused if it
#	                      was). Exact: QEMU, when told to stop, drains all
#	                      requests and flushes every disk with its qcow2
#	                      tables, and a stopped guest writes nothing.
#	rig_reference_backup NAME OUTDIR CMD...
#	                      runs CMD, a backup of NAME, so that OUTDIR/DEV.raw
#	                      is the instant of its picture: the guest is paused,
#	                      CMD started, and when its backup job runs (or CMD
#	                      ended) the references are taken and the guest goes
#	                      on, writing while CMD streams. Exit status of CMD.
#	                      A paused guest cannot be frozen: the point is crash
#	                      consistent.
#	rig_reference_frozen NAME OUTDIR CMD...
#	                      the same for a quiesced backup: CMD runs against a
#	                      running guest and is stopped (SIGSTOP) once its job
#	                      runs and the guest writes again; OUTDIR/DEV.raw is
#	                      then read by qemu-img from the job's own NBD export
#	                      and CMD goes on. Needs writers in the guest.
#	rig_reference_live NAME OUTDIR PROGRAM...
#	                      the same for short backups: PROGRAM is stopped when
#	                      it says that it streams, which is after the thaw.
#	                      Not for --json and -q, with which it says nothing.
#	                      RIG_STOPPED_MS is for how long.
#	rig_job_runs NAME     a backup job runs on the domain

_rig_format() {
	qemu-img info -U --output=json "$1" | jq -r .format
}

_rig_size() {
	qemu-img info -U --output=json "$1" | jq '.["virtual-size"]'
}

# Strict mode (-s) would compare what is allocated as well.
rig_disk_compare() {
	local format_a format_b

	format_a=$(_rig_format "$1") && format_b=$(_rig_format "$2") ||
	    return 1
	if [ "$(_rig_size "$1")" != "$(_rig_size "$2")" ]; then
		rig_say "sizes of $1 and $2 differ"
		return 1
	fi
	qemu-img compare -U -f "$format_a" -F "$format_b" "$1" "$2"
}

rig_disk_sum() {
	local tmp

	tmp=$(mktemp "$RIG_DIR/sum.XXXXXX")
	qemu-img convert -U -f "$(_rig_format "$1")" -O raw "$1" "$tmp" &&
	    sha256sum <"$tmp" | cut -d' ' -f1
	rm -f "$tmp"
}

# The bit 4 of s_feature_incompat, at byte 96 of the superblock at 1024.
rig_ext4_needs_recovery() {
	local super magic flags

	super=$(mktemp "$RIG_DIR/super.XXXXXX")
	qemu-img dd -U -f "$(_rig_format "$1")" -O raw bs=4096 count=1 \
	    "if=$1" "of=$super" || return 2
	magic=$(od -An -tx2 -j1080 -N2 "$super")
	flags=$(od -An -tu4 -j1120 -N4 "$super")
	rm -f "$super"
	if [ "${magic// /}" != ef53 ]; then
		rig_say "no ext4 on $1"
		return 2
	fi
	[ $((flags & 4)) -ne 0 ]
}

# Every disk of a guest that does not write, from its files.
_rig_copy_disks() {
	local dom=$1 out=$2 dev file

	mkdir -p "$out"
	while read -r dev file; do
		qemu-img convert -U -f "$(_rig_format "$file")" -O raw \
		    "$file" "$out/$dev.raw" || return 1
	done < <(virsh -q domblklist "$dom" | awk 'NF { print $1, $2 }')
}

rig_reference_image() {
	local dom status=0 paused=

	dom=$(rig_domain "$1")
	_rig_domain_is "$dom" paused && paused=1
	[ -n "$paused" ] || virsh -q suspend "$dom" || return 1
	_rig_copy_disks "$dom" "$2" || status=1
	[ -n "$paused" ] || virsh -q resume "$dom" || status=1
	return "$status"
}

rig_job_runs() {
	LC_ALL=C virsh -q domjobinfo "$(rig_domain "$1")" 2>/dev/null |
	    grep -q '^Operation: *Backup'
}

_rig_job_or_end() {
	rig_job_runs "$1" || _rig_proc_gone "$2"
}

rig_reference_backup() {
	local dom out=$2 status=0 ended=0 id pid
	dom=$(rig_domain "$1")
	shift 2

	virsh -q suspend "$dom" || return 1
	"$@" &
	pid=$!
	id=$(rig_proc_id "$pid")
	rig_wait_for 60 "backup job of $dom" _rig_job_or_end "$dom" \
	    "${id:-$pid-0}" && _rig_copy_disks "$dom" "$out" || status=125
	virsh -q resume "$dom" || status=125
	wait "$pid" || ended=$?
	[ "$status" != 0 ] || status=$ended
	return "$status"
}

# The disks of the running job's export, as a client of its own.
_rig_copy_export() {
	local dom=$1 out=$2 sock dev name

	mkdir -p "$out"
	sock=$(virsh -q backup-dumpxml "$dom" |
	    sed -n "s/.*socket='\([^']*\)'.*/\1/p")
	[ -n "$sock" ] || return 1
	while read -r dev name; do
		qemu-img convert -O raw -f raw \
		    "nbd+unix:///$name?socket=$sock" "$out/$dev.raw" ||
		    return 1
	done < <(virsh -q backup-dumpxml "$dom" | _rig_exports)
}

# "DEV EXPORT" for each disk in a backup's XML.
_rig_exports() {
	python3 -c '
import sys, xml.etree.ElementTree as tree
for d in tree.parse(sys.stdin).iterfind("disks/disk"):
    if d.get("backup") != "no":
        print(d.get("name"), d.get("exportname") or d.get("name"))'
}

_rig_writes_anywhere() {
	local dir

	for dir in $(rig_guest_exec "$1" 'cat /run/rig/mounts'); do
		rig_guest_writes "$1" "$dir" 10 || return 1
	done
}

rig_reference_frozen() {
	local name=$1 dom out=$2 status=0 ended=0 id pid
	dom=$(rig_domain "$1")
	shift 2

	"$@" &
	pid=$!
	id=$(rig_proc_id "$pid")
	rig_wait_for 60 "backup job of $dom" _rig_job_or_end "$dom" \
	    "${id:-$pid-0}" && _rig_writes_anywhere "$name" &&
	    kill -STOP "$pid" && rig_job_runs "$dom" &&
	    _rig_copy_export "$dom" "$out" || status=125
	kill -CONT "$pid" 2>/dev/null
	wait "$pid" || ended=$?
	[ "$status" != 0 ] || status=$ended
	return "$status"
}

# What PROGRAM says goes on to standard error.
rig_reference_live() {
	local dom out=$2 status=125 ended=0 steps line pid start
	dom=$(rig_domain "$1")
	shift 2

	RIG_STOPPED_MS=0
	steps=$(mktemp -u "$RIG_DIR/steps.XXXXXX")
	mkfifo "$steps" || return 125
	"$@" 2>"$steps" &
	pid=$!
	while IFS= read -r line; do
		case $line in
		*streaming*)
			kill -STOP "$pid"
			start=$(date +%s%N)
			rig_job_runs "$dom" && _rig_copy_export "$dom" "$out" &&
			    status=0
			# shellcheck disable=SC2034 # read by the caller
			RIG_STOPPED_MS=$((($(date +%s%N) - start) / 1000000))
			kill -CONT "$pid"
			;;
		esac
		echo "$line" >&2
	done <"$steps"
	rm -f "$steps"
	wait "$pid" || ended=$?
	[ "$status" != 0 ] || status=$ended
	return "$status"
}
