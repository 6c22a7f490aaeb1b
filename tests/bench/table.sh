#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# holdstill and its peers side by side, in one run, on one disk made of real
# files of this machine: full, incrementals after scattered 4 KiB writes,
# restore of the full and of the last incremental, verify; beside them the
# limit, which is what the work itself costs. Prints a table in Markdown and
# whether the goals are met; ends with 1 if one is missed.
#
#	HOLDSTILL_BUILD=build-release tests/bench/table.sh [OPTION...]
#
#	--size SIZE        of the disk, 60 % of it files (default: 8G)
#	--incrementals N   length of the chain (default: 30)
#	--writes N         writes of 4 KiB for each incremental (default: 512)
#	--borg-chunk BYTES borg's fixed chunks (default: 65536)
#	--tools LIST       only these, with commas between (default: all):
#	                   holdstill vnb vnb-z qemu-img borg restic
#	--no-guests        only what needs none: qemu-img, borg, restic, limit
#	--quick            256M, 4 incrementals, and no verdict: to try the script
#	--record           adds the result to docs/results/bench-table.md
#
# holdstill and virtnbdbackup back up a live domain with a guest that has
# booted and does nothing but the writes; qemu-img, borg and restic read the
# same disk as a raw file, which QEMU need not read for them. Every restored
# disk is compared with what was backed up, beside the clock. The page cache
# is warm for all. Peers that read the whole disk each time make incrementals
# 1 to 3 and the last, not those between.
#
# It needs root and about four times SIZE in HOLDSTILL_TEST_DIR. Packages
# beside those of the tests: section [bench] of scripts/packages.txt.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
# shellcheck source=tests/lib/rig.sh
. "$here/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$here/../lib/holdstill.sh"
# shellcheck source=tests/bench/table_tools.sh
. "$here/table_tools.sh"

usage() {
	sed -n 's/^#\t//p' "$0"
	exit "$1"
}

size=8G
chain=30
writes=512
borg_chunk=65536
tools=holdstill,vnb,vnb-z,qemu-img,borg,restic
guests=1
quick=
record=
while [ $# -gt 0 ]; do
	case $1 in
	--size) size=${2:-} && shift ;;
	--incrementals) chain=${2:-} && shift ;;
	--writes) writes=${2:-} && shift ;;
	--borg-chunk) borg_chunk=${2:-} && shift ;;
	--tools) tools=${2:-} && shift ;;
	--no-guests) guests= ;;
	--quick) quick=1 size=256M chain=4 writes=64 ;;
	--record) record=1 ;;
	--help) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
	shift || usage 2 >&2
done
[[ $chain$writes$borg_chunk =~ ^[0-9]+$ && $chain -gt 0 ]] || usage 2 >&2
size_bytes=$(numfmt --from=iec "$size") || usage 2 >&2
[ -n "$guests" ] ||
	tools=$(tr , '\n' <<<"$tools" | grep -vx 'holdstill\|vnb\|vnb-z' |
	    paste -sd, -)

wants() {
	[[ ,$tools, = *,$1,* ]]
}

say() {
	echo "$(date +%T) $*" >&2
}

start() {
	local tool

	for tool in zstd openssl cpio jq qemu-img; do
		[ -n "$(command -v "$tool")" ] || skip "no $tool here"
	done
	! wants borg || [ -n "$(command -v borg)" ] || skip "no borg here"
	! wants restic || [ -n "$(command -v restic)" ] || skip "no restic here"
	! wants vnb && ! wants vnb-z ||
		[ -n "$(command -v virtnbdbackup)" ] ||
		skip "no virtnbdbackup here"
	if [ -n "$guests" ]; then
		# The tools work in a folder of their own.
		[ -z "${HOLDSTILL_BUILD:-}" ] ||
			HOLDSTILL_BUILD=$(realpath "$HOLDSTILL_BUILD")
		rig_start
	else
		[ "$(id -u)" = 0 ] || skip "root is needed to fill a disk"
		RIG_DIR=$(mktemp -d \
		    "${HOLDSTILL_TEST_DIR:-/var/tmp}/holdstill-bench.XXXXXX")
		trap stop_without_rig EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM
	fi
	took=$RIG_DIR/took
	mkdir "$took"
	gcc -std=c11 -D_GNU_SOURCE -O2 -static -s \
	    -o "$RIG_DIR/scatter" "$here/scatter.c"
}

stop_without_rig() {
	umount "$RIG_DIR/mount" 2>/dev/null || :
	rm -rf --one-file-system "$RIG_DIR"
}

# An ext4 with real files, and room that was never written.
make_disk() {
	local want=$((size_bytes * 6 / 10))

	say "making a disk of $size"
	base=$RIG_DIR/base.raw
	truncate -s "$size_bytes" "$base"
	mke2fs -q -F -t ext4 -m 0 -O ^has_journal "$base"
	mkdir -p "$RIG_DIR/mount"
	mount -o loop "$base" "$RIG_DIR/mount"
	python3 "$here/pick_files.py" "$want" /usr /etc /var/lib /opt /boot \
	    >"$RIG_DIR/files" ||
		say "this machine has fewer files than the disk could take"
	# Some may be gone by now; a full disk is told by the size below.
	cpio -0pdm --quiet "$RIG_DIR/mount" <"$RIG_DIR/files" 2>/dev/null || :
	umount "$RIG_DIR/mount"
	data_bytes=$(du -B1 "$base" | cut -f1)
	say "$(numfmt --to=iec "$data_bytes") of it hold data"
	[ "$data_bytes" -gt $((size_bytes / 2)) ] || [ -n "$quick" ] ||
		fail "too few files for a disk of $size: give --size"
}

# The disk as it is after all incrementals, and what each changed.
make_last() {
	local i

	say "making the disk as it will be after $chain incrementals"
	last=$RIG_DIR/last.raw
	cp --sparse=always "$base" "$last"
	: >"$RIG_DIR/dirty.sizes"
	for ((i = 1; i <= chain; i++)); do
		"$RIG_DIR/scatter" "$last" "$i" "$writes" "$RIG_DIR/dirty"
		zstd -1 -q -c "$RIG_DIR/dirty" | wc -c >>"$RIG_DIR/dirty.sizes"
	done
	rm "$RIG_DIR/dirty"
}

# Read, hash, compress, write: each by itself, on the data alone.
measure_limit() {
	local data=$RIG_DIR/data

	say "the limit"
	python3 "$here/measure.py" "$RIG_DIR/extract" -- python3 - "$base" \
	    "$data" <<-'PYTHON'
	import os, sys
	disk = os.open(sys.argv[1], os.O_RDONLY)
	end, at = os.lseek(disk, 0, os.SEEK_END), 0
	with open(sys.argv[2], "wb") as out:
	    while at < end:
	        try:
	            at = os.lseek(disk, at, os.SEEK_DATA)
	        except OSError:
	            break
	        hole = os.lseek(disk, at, os.SEEK_HOLE)
	        while at < hole:
	            piece = os.pread(disk, min(hole - at, 1 << 20), at)
	            out.write(piece)
	            at += len(piece)
	PYTHON
	warm "$data"
	measured limit-read nbdcopy -- [ qemu-nbd -r -f raw "$base" ] null:
	measured limit-hash openssl dgst -sha256 "$data"
	measured limit-zstd zstd -q -1 -f --single-thread -o "$data.zst" "$data"
	stored limit-zstd "$(stat -c %s "$data.zst")"
	measured limit-write dd if="$data.zst" of="$data.copy" bs=1M conv=fsync
	rm "$data" "$data.zst" "$data.copy"
}

versions() {
	local tool

	for tool in virtnbdbackup qemu-img borg restic zstd; do
		[ -n "$(command -v "$tool")" ] || continue
		case $tool in
		restic) restic version ;;
		virtnbdbackup) echo "virtnbdbackup $(virtnbdbackup --version)" ;;
		*) "$tool" --version ;;
		esac 2>/dev/null | grep -o '^[^(,]*[0-9]' | head -n 1
	done | paste -sd, - | sed 's/,/, /g'
}

print_result() {
	python3 "$here/table_print.py" "$took" "$RIG_DIR/dirty.sizes" "$tools" \
	    "$(nproc)" "${quick:+quick}"
}

# As scripts/soak does: a section for each run, the newest at the end.
record_result() {
	local file=$top/docs/results/bench-table.md changed=

	[ -e "$file" ] || printf '# %s\n\n%s\n' "Side by side" \
	    "Written by tests/bench/table.sh --record." >"$file"
	[ -z "$(git -C "$top" status --porcelain -uno -- . \
	    ':!docs/results')" ] || changed=", with changes"
	{
		echo
		echo "## $(date -u +%FT%TZ)"
		echo
		echo "- commit: $(git -C "$top" rev-parse --short=12 HEAD)$changed"
		echo "- machine: $(nproc) processors," \
		    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' \
		    /proc/meminfo), Linux $(uname -r | cut -d- -f1)"
		echo "- command: tests/bench/table.sh --size $size" \
		    "--incrementals $chain --writes $writes" \
		    "--borg-chunk $borg_chunk"
		echo "- disk: $size, $(numfmt --to=iec "$data_bytes") of data"
		echo "- peers: $(versions)"
		echo
		cat "$RIG_DIR/result.md"
	} >>"$file"
}

start
make_disk
make_last
measure_limit
run_tools
status=0
print_result >"$RIG_DIR/result.md" || status=$?
cat "$RIG_DIR/result.md"
[ -z "$record" ] || record_result
exit "$status"
