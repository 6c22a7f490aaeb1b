#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The local index with very many blocks: what it takes of disk and memory, how
# fast it is made and asked, and the same asked within a limit of memory that
# its page cache counts for as well. Ends with 1 if the goal is missed.
#
#	HOLDSTILL_BUILD=build-release tests/bench/index.sh [OPTION...]
#
#	--blocks N     to simulate (default: 200000000, some 25 GB of disk)
#	--lookups N    of known, and of unknown blocks (default: 1000000)
#	--how load|add whole indexes, as a rebuild does (default), or one by one
#	--record       adds the result to docs/results/bench-index.md
#
# The limit is a cgroup of 512 MiB, of version 2 or 1, where one can be made;
# else what is resident is counted alone. Files go to HOLDSTILL_TEST_DIR.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
LIMIT_MIB=512

usage() {
	sed -n 's/^#\t//p' "$0"
	exit "$1"
}

blocks=200000000
lookups=1000000
how=load
record=
while [ $# -gt 0 ]; do
	case $1 in
	--blocks) blocks=${2:-} && shift ;;
	--lookups) lookups=${2:-} && shift ;;
	--how) how=${2:-} && shift ;;
	--record) record=1 ;;
	--help) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
	shift || usage 2 >&2
done
[[ $blocks$lookups =~ ^[0-9]+$ && $how =~ ^(load|add)$ ]] || usage 2 >&2
bench=$(realpath "${HOLDSTILL_BUILD:?where holdstill was built}")
bench=$bench/tests/unit/bench_index
dir=$(mktemp -d "${HOLDSTILL_TEST_DIR:-/var/tmp}/holdstill-index.XXXXXX")
group=

# shellcheck disable=SC2317 # By the trap.
stop() {
	[ -z "$group" ] || rmdir "$group" || :
	rm -rf --one-file-system "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A group of ours with that limit; none: no group.
make_group() {
	local root file

	for root in /sys/fs/cgroup /sys/fs/cgroup/unified \
	    /sys/fs/cgroup/memory; do
		group=$root/holdstill-index-$$
		mkdir "$group" 2>/dev/null || continue
		for file in memory.max memory.limit_in_bytes; do
			[ ! -e "$group/$file" ] ||
				! echo $((LIMIT_MIB << 20)) >"$group/$file" ||
				return 0
		done
		rmdir "$group"
	done 2>/dev/null
	group=
}

# limited COMMAND...: in the group.
limited() {
	bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

echo "$ bench_index DIR $blocks $lookups $how" >"$dir/result"
"$bench" "$dir/index" "$blocks" "$lookups" "$how" | tee -a "$dir/result"
make_group
if [ -n "$group" ]; then
	echo "in a cgroup of $LIMIT_MIB MiB, from a cold cache:"
	for file in "$dir/index"/*; do
		dd if="$file" iflag=nocache count=0 status=none
	done
	limited "$bench" "$dir/index" "$blocks" $((lookups / 10))
	cat "$group/memory.peak" "$group/memory.max_usage_in_bytes" \
	    2>/dev/null | awk '{ printf "group    peak %d MiB, page cache " \
	    "and all\n", $1 / 1048576 }'
fi | tee -a "$dir/result"

status=0
awk -v most=$LIMIT_MIB '
	{
		for (i = 1; i < NF; i++)
			if ($i == "sum" && $(i + 1) > peak)
				peak = $(i + 1)
	}
	END {
		printf "largest resident: %d MiB, goal %d MiB: %s\n", peak,
		    most, (peak > most ? "missed" : "met")
		exit peak > most
	}' "$dir/result" >"$dir/verdict" || status=1
tee -a "$dir/result" <"$dir/verdict"
if [ -n "$record" ]; then
	file=$top/docs/results/bench-index.md
	mkdir -p "$top/docs/results"
	[ -e "$file" ] || printf '# %s\n\n%s\n' "The local index at scale" \
	    "Written by tests/bench/index.sh --record." >"$file"
	{
		printf '\n## %s\n\n' "$(date -u +%FT%TZ)"
		echo "- commit: $(git -C "$top" rev-parse --short=12 HEAD)"
		echo "- machine: $(nproc) processors," \
		    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' \
		    /proc/meminfo), Linux $(uname -r | cut -d- -f1)"
		printf '\n'
		sed 's/^/    /' "$dir/result"
	} >>"$file"
fi
exit "$status"
