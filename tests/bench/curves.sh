#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a backup, a restore, list, show and prune cost when sizes grow: a full
# against its size, an incremental against the disk's size and against the
# change, the others against points and blocks. Through the store and, where
# no domain is needed, through holdstill itself. Prints CSV; ends with 1 if a
# goal is missed.
#
#	HOLDSTILL_BUILD=build-release tests/bench/curves.sh [OPTION...]
#
#	--quick      small sizes, no verdict: to try the script
#	--only LIST  of full, disk, change, points and blocks, with commas between
#	--record     writes docs/results/curves.csv, where curves that were not
#	             measured stay as they are, and draws docs/curves.svg
#
# The repository is a folder of HOLDSTILL_TEST_DIR, which takes some 12 GiB.
# The disks are made up as they are read: that is within the times. Each
# figure of an incremental is the median of three, or of nine where sizes of
# disks are compared.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..

usage() {
	sed -n 's/^#\t//p' "$0"
	exit "$1"
}

quick=
only=full,disk,change,points,blocks
record=
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	--only) only=${2:-} && shift ;;
	--record) record=1 ;;
	--help) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
	shift || usage 2 >&2
done
build=$(realpath "${HOLDSTILL_BUILD:?where holdstill was built}")
make=$build/tests/unit/bench_curves
dir=$(mktemp -d "${HOLDSTILL_TEST_DIR:-/var/tmp}/holdstill-curves.XXXXXX")
trap 'rm -rf --one-file-system "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
csv=$dir/curves.csv
echo "curve,x,unit,seconds,cpu_seconds,peak_bytes,new_bytes,stored_bytes" \
	>"$csv"

K=1024 M=$((1024 * 1024)) G=$((1024 * 1024 * 1024))
if [ -n "$quick" ]; then
	fulls="64 128 256"
	disks="64 1024 8192"
	change=$((16 * M))
	rounds=3
	changes="4 16 64"
	points="10 100"
	blocks="10000 100000"
else
	fulls="256 512 1024 2048 4096"
	disks="64 256 1024 4096 8192"
	change=$((256 * M))
	rounds=9
	changes="16 64 256 1024"
	points="10 100 1000 10000"
	blocks="10000 100000 1000000 10000000"
fi

say() {
	echo "$(date +%T) $*" >&2
}

repo=$dir/repo
state=$dir/state
# Where holdstill has its local index as well.
cache=$state

fresh() {
	rm -rf --one-file-system "$repo" "$state"
	mkdir -p "$state"
}

# took COMMAND...: seconds, cpu, peak of it to $figures, its words to $words.
took() {
	rm -f "$dir/took"
	python3 "$here/measure.py" "$dir/took" -- "$@" >"$dir/words"
	words=$(cat "$dir/words")
	figures=$(python3 - "$dir/took" <<-'PYTHON'
	import json, sys
	t = json.load(open(sys.argv[1], encoding="ascii"))
	print(f'{t["wall"]:.3f},{t["cpu"]:.3f},{t["peak_bytes"]}')
	PYTHON
	)
}

# row CURVE X UNIT: what was measured last.
row() {
	local new='' stored=''

	case $words in
	[0-9]*.[0-9]*" "*)
		new=$(cut -d" " -f2 <<<"$words")
		stored=$(cut -d" " -f3 <<<"$words")
		;;
	esac
	echo "$1,$2,$3,$figures,$new,$stored" | tee -a "$csv"
}

# The point that was made last.
point() {
	cut -d" " -f5 <<<"$words"
}

disk() {
	took "$make" "$repo" "$cache" disk "$@"
}

# middle FILE: of its lines, by time, to $figures and $words.
middle() {
	local best

	best=$(sort -n "$1" | sed -n "$((($(wc -l <"$1") + 1) / 2))p")
	figures=${best%%|*} words=${best#*|}
}

# median CURVE X UNIT SIZE DATA PIECE BASE: of three incrementals.
median() {
	local i

	for i in 1 2 3; do
		disk "$4" "$5" "$6" $((seed + i)) "$7"
		echo "$figures|$words"
	done >"$dir/three"
	seed=$((seed + 3))
	middle "$dir/three"
	row "$1" "$2" "$3"
}

curve_full() {
	local mib base

	for mib in $fulls; do
		say "a full of $mib MiB"
		fresh
		disk $((mib * M)) $((mib * M)) $((64 * K)) 1
		row full "$mib" MiB
		base=$(point)
		took "$make" "$repo" "$cache" read "$base"
		row read "$mib" MiB
	done
}

# place GIB: of the repository of a disk of that size.
place() {
	repo=$dir/repo-$1 state=$dir/state-$1
	cache=$state
}

# The sizes take turns: what else the machine does hits all of them alike.
curve_disk() {
	local gib round
	local -A base

	for gib in $disks; do
		say "a disk of $gib GiB"
		place "$gib"
		fresh
		disk $((gib * G)) "$change" $((M)) 1
		base[$gib]=$(point)
	done
	for round in $(seq "$rounds"); do
		say "incrementals of each, $round of $rounds"
		for gib in $disks; do
			place "$gib"
			disk $((gib * G)) "$change" $((M)) $((10 + round)) \
				"${base[$gib]}"
			echo "$figures|$words" >>"$dir/pieces-$gib"
			disk $((gib * G)) $((change / 8)) $((64 * K)) \
				$((1010 + round)) "${base[$gib]}"
			echo "$figures|$words" >>"$dir/scattered-$gib"
		done
	done
	for gib in $disks; do
		place "$gib"
		rm -rf --one-file-system "$repo" "$state"
		middle "$dir/pieces-$gib"
		row incremental-by-disk "$gib" GiB
		middle "$dir/scattered-$gib"
		row scattered-by-disk "$gib" GiB
	done
	repo=$dir/repo state=$dir/state
	cache=$state
}

curve_change() {
	local mib base

	fresh
	disk $((1024 * G)) "$change" $((M)) 1
	base=$(point)
	seed=10
	for mib in $changes; do
		say "incrementals of $mib MiB"
		median incremental-by-change "$mib" MiB $((1024 * G)) \
			$((mib * M)) $((M)) "$base"
	done
}

holdstill() {
	took "$build/agent/holdstill" --repo "$repo" --state-dir "$state" \
		--no-progress "$@"
	words=
}

curve_points() {
	local count last

	for count in $points; do
		say "$count points"
		fresh
		took "$make" "$repo" "$cache" points "$count"
		last=$(point)
		row points-made "$count" points
		holdstill list
		row list-bare-by-points "$count" points
		holdstill catalog rebuild
		row catalog-by-points "$count" points
		holdstill list
		row list-by-points "$count" points
		holdstill show "$last"
		row show-by-points "$count" points
		holdstill prune --dry-run
		row prune-dry-by-points "$count" points
		holdstill prune
		row prune-by-points "$count" points
		seed=1000000
		median incremental-by-points "$count" points $((G)) $((M)) \
			$((64 * K)) "$last"
		holdstill forget curve --keep-last 5
		row forget-by-points "$count" points
		holdstill prune --undelete-days 0
		row prune-forgotten-by-points "$count" points
	done
}

curve_blocks() {
	local count last

	for count in $blocks; do
		say "$count blocks"
		fresh
		took "$make" "$repo" "$cache" blocks "$count"
		last=$(point)
		row blocks-made "$count" blocks
		holdstill list
		row list-by-blocks "$count" blocks
		holdstill show "$last"
		row show-by-blocks "$count" blocks
		holdstill prune --dry-run
		row prune-dry-by-blocks "$count" blocks
		seed=10
		rm -rf "$cache"
		mkdir "$cache"
		disk $((count * 64 * K)) $((64 * K)) $((64 * K)) 1 "$last"
		row index-rebuilt-by-blocks "$count" blocks
		median incremental-by-blocks "$count" blocks \
			$((count * 64 * K)) $((16 * M)) $((64 * K)) "$last"
	done
}

record_result() {
	local file=$top/docs/results/curves.csv

	mkdir -p "$top/docs/results"
	{
		! grep '^#' "$file" 2>/dev/null || :
		echo "# tests/bench/curves.sh --only $only, $(date -u +%F)," \
			"$(git -C "$top" rev-parse --short=12 HEAD)," \
			"$(nproc) processors"
		cat "$csv"
		cut -d, -f1 "$csv" | sed 's/.*/^&,/' >"$dir/measured"
		! grep -v -e '^#' -f "$dir/measured" "$file" 2>/dev/null || :
	} >"$dir/all.csv"
	cp "$dir/all.csv" "$file"
	python3 "$here/curves_plot.py" "$file" "$top/docs/curves.svg"
}

for curve in ${only//,/ }; do
	"curve_$curve"
done
[ -z "$record" ] || record_result
[ -n "$quick" ] || python3 "$here/curves_plot.py" "$csv"
