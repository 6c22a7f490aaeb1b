# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What table.sh has each tool do. Uses of table.sh: RIG_DIR, took, base, last,
# chain, writes, borg_chunk, wants, say.
#
#	measured ROW CMD...   runs CMD; what it took goes to $took/ROW, a line a
#	                      run. MEASURE_PID: a process whose time is counted
#	                      beside it. Ends the bench if CMD fails.
#	stored ROW BYTES      what it left in store goes to $took/ROW.bytes
#	warm FILE...          into the page cache
#	run_tools             all that are wanted
#
# A row is TOOL-WHAT, WHAT being full, inc, restore-full, restore-last, verify.
#
# The caller sets them:
# shellcheck disable=SC2154

measured() {
	local row=$1
	shift

	python3 "$here/measure.py" "$took/$row" \
	    ${MEASURE_PID:+--pid "$MEASURE_PID"} -- "$@" \
	    >"$RIG_DIR/out" 2>&1 </dev/null || {
		tail -n 20 "$RIG_DIR/out" >&2
		fail "$row: $*"
	}
}

stored() {
	echo "$2" >>"$took/$1.bytes"
}

warm() {
	cat "$@" >/dev/null
}

# Bytes of all files below a folder; further words are find's.
bytes_of() {
	find "$@" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}

# same IMAGE RAW: does the restored image hold the same?
same() {
	qemu-img compare -q "$1" "$2" || fail "$1 is not $2"
}

# The image that virtnbdrestore made.
image_in() {
	find "$1" -type f -name '*.qcow2' -print -quit
}

# ---- tools that read a live domain ----

# guest_start NAME: a guest with a copy of the disk, idle.
guest_start() {
	local file

	rig_guest_create "$1" --disk "vda:$size_bytes:none" --no-channel \
	    --xml-only
	file=$(rig_guest_dir "$1")/vda.qcow2
	qemu-img convert -O qcow2 "$base" "$file"
	chmod 666 "$file"
	rig_guest_start "$1"
	dom=$(rig_domain "$1")
	MEASURE_PID=$(cat "/run/libvirt/qemu/$dom.pid")
	warm "$file"
}

guest_end() {
	MEASURE_PID=
	rig_guest_destroy "$1"
}

# Incremental I's writes, in the guest.
guest_scatter() {
	rig_guest_exec -t 600 "$1" "scatter /dev/vda $2 $writes"
}

run_holdstill() {
	local i before now first

	hs_init_repo
	guest_start hs
	measured holdstill-full holdstill backup -q "$dom"
	now=$(bytes_of "$HOLDSTILL_REPO")
	stored holdstill-full "$now"
	first=$(hs_latest hs)
	for ((i = 1; i <= chain; i++)); do
		guest_scatter hs "$i"
		before=$now
		measured holdstill-inc holdstill backup -q "$dom"
		now=$(bytes_of "$HOLDSTILL_REPO")
		stored holdstill-inc $((now - before))
	done
	[ "$(hs_latest hs .kind)" = incremental ] ||
		fail "the last point of holdstill is no incremental"
	MEASURE_PID=
	measured holdstill-restore-full holdstill restore -q "$first" \
	    --to "$RIG_DIR/restored"
	same "$RIG_DIR/restored/vda.qcow2" "$base"
	rm -rf "$RIG_DIR/restored"
	measured holdstill-restore-last holdstill restore -q "$dom@latest" \
	    --to "$RIG_DIR/restored"
	same "$RIG_DIR/restored/vda.qcow2" "$last"
	rm -rf "$RIG_DIR/restored"
	measured holdstill-verify holdstill verify -q
	guest_end hs
	rm -rf "$HOLDSTILL_REPO" "$HOLDSTILL_STATE_DIR"
}

# run_vnb ROW NAME [OPTION...]: virtnbdbackup, in a domain of its own. The
# kernel and the logs that it keeps beside the data are not counted.
run_vnb() {
	local row=$1 name=$2 out=$RIG_DIR/vnb i before now log=$RIG_DIR/vnb.log
	shift 2

	mkdir -p "$RIG_DIR/scratch"
	chmod 1777 "$RIG_DIR/scratch"
	guest_start "$name"
	measured "$row-full" virtnbdbackup -n -d "$dom" -l full \
	    -S "$RIG_DIR/scratch" -o "$out" "$@"
	now=$(bytes_of "$out" -name '*.data')
	stored "$row-full" "$now"
	for ((i = 1; i <= chain; i++)); do
		guest_scatter "$name" "$i"
		before=$now
		measured "$row-inc" virtnbdbackup -n -d "$dom" -l inc \
		    -S "$RIG_DIR/scratch" -o "$out" "$@"
		now=$(bytes_of "$out" -name '*.data')
		stored "$row-inc" $((now - before))
	done
	MEASURE_PID=
	measured "$row-restore-full" virtnbdrestore -n -L "$log" -i "$out" \
	    -u virtnbdbackup.0 -o "$RIG_DIR/restored"
	same "$(image_in "$RIG_DIR/restored")" "$base"
	rm -rf "$RIG_DIR/restored"
	measured "$row-restore-last" virtnbdrestore -n -L "$log" -i "$out" \
	    -o "$RIG_DIR/restored"
	same "$(image_in "$RIG_DIR/restored")" "$last"
	guest_end "$name"
	rm -rf "$RIG_DIR/restored" "$out" "$RIG_DIR/scratch"
}

# ---- tools that read a file ----

run_qemu_img() {
	local out=$RIG_DIR/qemu-img.qcow2

	warm "$base"
	measured qemu-img-full qemu-img convert -f raw -O qcow2 -c \
	    -o compression_type=zstd "$base" "$out"
	stored qemu-img-full "$(stat -c %s "$out")"
	measured qemu-img-restore-full qemu-img convert -f qcow2 -O qcow2 \
	    "$out" "$RIG_DIR/restored.qcow2"
	same "$RIG_DIR/restored.qcow2" "$base"
	rm "$out" "$RIG_DIR/restored.qcow2"
}

# file_chain ROW REPO BACKUP: the full, and of the chain 1 to 3 and the last,
# each by the function BACKUP ROW NUMBER, of the file work.raw.
file_chain() {
	local row=$1 repo=$2 backup=$3 i before now=0 what=full

	cp --sparse=always "$base" work.raw
	for ((i = 0; i <= chain; i++)); do
		if [ "$i" -gt 0 ]; then
			"$RIG_DIR/scatter" work.raw "$i" "$writes"
			what=inc
		fi
		[ "$i" -le 3 ] || [ "$i" = "$chain" ] || continue
		warm work.raw
		"$backup" "$row-$what" "$i"
		before=$now
		now=$(bytes_of "$repo")
		# The last of a gap holds what others did not store.
		[ "$i" -gt 3 ] || stored "$row-$what" $((now - before))
	done
	rm work.raw
}

borg_backup() {
	measured "$1" borg create --compression lz4 --chunker-params \
	    "fixed,$borg_chunk" "::p$2" work.raw
}

borg_restore() {
	mkdir -p "$RIG_DIR/restored"
	cd "$RIG_DIR/restored" || return
	measured "$1" borg extract --sparse "::$2"
	cd "$RIG_DIR/files.d" || return
	same "$RIG_DIR/restored/work.raw" "$3"
	rm -rf "$RIG_DIR/restored"
}

run_borg() {
	export BORG_REPO=$RIG_DIR/borg BORG_BASE_DIR=$RIG_DIR/borg.home
	export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes

	borg init -e none
	file_chain borg "$BORG_REPO" borg_backup
	borg_restore borg-restore-full p0 "$base"
	borg_restore borg-restore-last "p$chain" "$last"
	measured borg-verify borg check --verify-data
	rm -rf "$BORG_REPO" "$BORG_BASE_DIR"
}

restic_backup() {
	measured "$1" restic backup -q --tag "p$2" work.raw
}

restic_restore() {
	measured "$1" restic restore -q latest --tag "$2" \
	    --target "$RIG_DIR/restored"
	same "$RIG_DIR/restored/work.raw" "$3"
	rm -rf "$RIG_DIR/restored"
}

run_restic() {
	export RESTIC_REPOSITORY=$RIG_DIR/restic RESTIC_PASSWORD=bench
	export RESTIC_CACHE_DIR=$RIG_DIR/restic.cache

	restic init -q
	file_chain restic "$RESTIC_REPOSITORY" restic_backup
	restic_restore restic-restore-full p0 "$base"
	restic_restore restic-restore-last "p$chain" "$last"
	measured restic-verify restic check -q --read-data
	rm -rf "$RESTIC_REPOSITORY" "$RESTIC_CACHE_DIR"
}

# ---- all of them ----

# The guests get the program that writes.
prepare_guests() {
	mkdir -p "$RIG_DIR/more/sbin"
	cp "$RIG_DIR/scatter" "$RIG_DIR/more/sbin/"
	_rig_cpio "$RIG_DIR/more" >>"$RIG_DIR/initrd"
}

run_one() {
	wants "$1" || return 0
	say "$1"
	shift
	"$@"
}

run_tools() {
	mkdir "$RIG_DIR/files.d"
	cd "$RIG_DIR/files.d" || return
	[ -z "$guests" ] || prepare_guests
	run_one holdstill run_holdstill
	run_one vnb run_vnb vnb vp
	run_one vnb-z run_vnb vnb-z vz -z
	run_one qemu-img run_qemu_img
	run_one borg run_borg
	run_one restic run_restic
	cd "$top" || return
}
