#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the protocol of docs/prune.md keeps its promises in every run of the
# model, and each mutant of it breaks one.
# Usage: run.sh [--quick | --full] [WORD]
# --quick takes the smallest scopes and mutants only, --full larger scopes, too;
# WORD picks lines that contain it. The times are a processor's.
set -u
here=$(cd "$(dirname "$0")" && pwd)
size=usual
case ${1-} in
--quick | --full) size=${1#--}; shift ;;
esac
only=${1-}
TIMEFORMAT=%U
for tool in spin cc; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failed=0

# verify FLAGS: the verifier's words go to ./out, the seconds of the processor
# to ./seconds.  At most 4 GB and half an hour.
verify() {
	{ time search "$1"; } 2>seconds
}

search() {
	local run=
	# Who has crashed, or may not store anew, does not end well.
	[[ $1 == *-DJANITOR* || $1 == *-DNO_ANEW* ]] && run=-E
	rm -f pan* out ./*.trail
	# shellcheck disable=SC2086
	spin -a $1 "$here/prune.pml" >out 2>&1 &&
	    cc -O2 -w -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM=3800 \
		-o pan pan.c >>out 2>&1 &&
	    (ulimit -t 1800; exec nice -n 10 ./pan $run -m300000 -w25) \
		>>out 2>&1
}

# Is the line with these words asked for? In front of a small one is quick=yes.
wanted() {
	[[ $1 == *"$only"* && ($size != quick || ${quick-} == yes) ]]
}

# The scope has no error and was searched to its end.
holds() { # NAME PROPERTIES FLAGS
	wanted "$1 $2" || return
	verify "$3"
	if grep -q 'errors: 0$' out && ! grep -qE 'not completed|too small' out
	then
		printf 'ok   %s: %s (%s states, %s s)\n' "$2" "$1" \
			"$(sed -nE 's/^ *([^ ]+) states, stored.*/\1/p' out)" \
			"$(cat seconds)"
	else
		printf 'FAIL %s: %s\n' "$2" "$1"
		grep -E '^pan:|rror|not completed' out | head -5
		failed=1
	fi
}

# The verifier finds that PROPERTY does not hold.
breaks() { # MUTANT PROPERTY FLAGS
	wanted "without $1 $2" || return
	verify "-DWITHOUT_$1 $3"
	if grep -q "assertion violated $2_holds" out; then
		printf 'ok   without %s: %s breaks (%s s)\n' "$1" "$2" \
			"$(cat seconds)"
	else
		printf 'FAIL without %s: %s holds, it seems\n' "$1" "$2"
		grep -E '^pan:|rror|not completed' out | head -5
		failed=1
	fi
}

# Two backups that want a dead session's pack; point 1 may be forgotten.
reuse='-DNEED1=2 -DNEED2=2 -DFORGETS=0'
# Two backups that want the blobs of a point that is forgotten.
forget='-DNEED1=1 -DNEED2=1 -DNO_GARBAGE -DKEEP1 -DFORGETS=1'
# A point is forgotten, un-forgotten, forgotten.
undelete='-DNEED1=1 -DNO_GARBAGE -DKEEP1 -DFORGETS=3 -DONE_BACKUP'
# What lives of a pack is copied; the backups want what does not.
repack='-DREPACK -DNEED1=2 -DNEED2=2 -DKEEP1'

holds 'a dead pack, 2 backups, 2 prunes, 3 epochs' 'P1 P2 P3 P5' \
	"$reuse -DMAXE=2"
holds 'listings show the removed' 'P1 P2 P3 P5' \
	"$reuse -DMAXE=2 -DSHOWS_REMOVED -DKEEP1"
holds 'a forgotten point, 2 backups, 2 prunes, 3 epochs' 'P1 P2 P3 P5' \
	"$forget -DMAXE=2"
quick=yes holds 'un-forget, 1 backup, 2 prunes, 4 epochs' 'P1 P2 P3 P5' \
	"$undelete -DMAXE=3"
holds 'repack, 2 backups, 2 prunes, 3 epochs' 'P1 P2 P3 P5' \
	"$repack -DMAXE=2 -DFORGETS=0"
holds 'repack and forget, 1 backup, 2 prunes, 4 epochs' 'P1 P2 P3 P5' \
	"-DREPACK -DNEED1=3 -DFORGETS=1 -DONE_BACKUP -DKEEP1 -DMAXE=3"
quick=yes holds 'index of two packs, 1 backup, 2 prunes, 4 epochs' 'P1 P2 P3 P4 P5' \
	'-DMIXED -DSWEEP -DJANITOR -DMAXE=3 -DNEED1=2 -DFORGETS=1 -DONE_BACKUP'
quick=yes holds 'a local index that slept' 'P1 P2 P3 P5' \
	"-DCACHE $forget -DMAXE=3 -DONE_BACKUP"
quick=yes holds 'a put whose answer is lost' 'P1 P2 P3 P5' \
	"-DUNCLEAR $reuse -DMAXE=2 -DONE_BACKUP"
holds 'all garbage goes, 2 backups, 2 prunes, 3 epochs' 'P1 P2 P3 P4 P5' \
	"$reuse -DMAXE=2 -DJANITOR"
quick=yes holds 'bases, 1 backup, 2 prunes, 4 epochs' 'P1 P2 P3 P5' \
	"-DBASE $forget -DMAXE=3 -DONE_BACKUP"
quick=yes holds 'bases of bases, 2 backups, 1 prune, 4 epochs' 'P1 P2 P3' \
	'-DBASE -DNEED1=1 -DNEED2=1 -DNO_GARBAGE -DFORGETS=1 -DONE_PRUNE -DMAXE=3'
quick=yes holds 'bases that are forgotten, 2 backups, 2 prunes, 3 epochs' \
	'P1 P2 P3 P5' "-DBASE $forget -DBASE2=0 -DMAXE=2"
quick=yes holds 'session objects are lost, 1 backup, 2 prunes, 4 epochs' \
	'P1 P2 P3 P4 P5' "-DLOSES $reuse -DONE_BACKUP -DJANITOR -DMAXE=3"
holds 'session objects are lost, 2 backups, 2 prunes, 3 epochs' \
	'P1 P2 P3 P5' "-DLOSES $reuse -DMAXE=2"
holds 'session objects are lost, 2 backups, 1 prune, forget, 4 epochs' \
	'P1 P2 P3' '-DLOSES -DNEED1=2 -DNEED2=2 -DFORGETS=1 -DKEEP1 -DONE_PRUNE -DMAXE=3'
if [[ $size == full ]]; then
	holds 'bases in a dead pack, 2 backups, 2 prunes, 4 epochs' \
		'P1 P2 P3 P5' "-DBASE $reuse -DMAXE=3"
	holds 'a dead pack, 2 backups, 2 prunes, 5 epochs' 'P1 P2 P3 P5' \
		"$reuse -DMAXE=4"
	holds 'a forgotten point, 2 backups, 2 prunes, 4 epochs' 'P1 P2 P3 P5' \
		"$forget -DMAXE=3"
	holds 'un-forget, 2 backups, 2 prunes, 3 epochs' 'P1 P2 P3 P5' \
		'-DNEED1=1 -DNEED2=1 -DNO_GARBAGE -DKEEP1 -DFORGETS=3 -DMAXE=2'
	holds 'two blobs, 2 backups, 1 prune, 4 epochs' 'P1 P2 P3' \
		'-DFORGETS=1 -DONE_PRUNE -DMAXE=3'
	holds 'repack, 2 backups, 2 prunes, 4 epochs' 'P1 P2 P3 P5' \
		"$repack -DMAXE=3 -DFORGETS=0"
	holds 'repack of two blobs, 2 backups, 1 prune, 4 epochs' 'P1 P2 P3' \
		'-DREPACK -DFORGETS=0 -DONE_PRUNE -DMAXE=3'
	holds 'repack of two blobs, 2 backups, 2 prunes, 3 epochs' \
		'P1 P2 P3 P5' '-DREPACK -DFORGETS=0 -DKEEP1 -DMAXE=2'
	holds 'repack and forget, all garbage goes, 1 prune, 3 epochs' \
		'P1 P2 P3 P4' "$repack -DFORGETS=1 -DONE_PRUNE -DMAXE=2 -DJANITOR"
	holds 'indexes swept, 2 backups, 2 prunes, 4 epochs' 'P1 P2 P3 P5' \
		"$reuse -DSWEEP -DKEEP1 -DMAXE=3"
	holds 'all garbage goes, 2 backups, 2 prunes, 4 epochs' \
		'P1 P2 P3 P4 P5' "$reuse -DMAXE=3 -DJANITOR"
fi

quick=yes breaks SEAL P1 "$reuse"
quick=yes breaks TOMBSTONE P1 "$reuse"
quick=yes breaks REGISTERING_FIRST P1 "$reuse"
quick=yes breaks LEAVING_CONDEMNED P1 "$reuse"
quick=yes breaks LEAVING_ORPHANS P1 "$reuse"
quick=yes breaks WAITING P1 "$reuse"
breaks EARLIER_SESSIONS P1 "$reuse"
quick=yes breaks LATE_WALK P1 "$reuse"
quick=yes breaks LISTING_BEFORE P1 "$reuse"
quick=yes breaks EXCLUSIVE_EPOCHS P1 "$reuse"
quick=yes breaks EXCLUSIVE_POINTS P3 "$reuse"
breaks DOOM P1 "$reuse -DMAXE=2 -DNO_ANEW"
breaks LOOKING P1 "$reuse -DSWEEP -DSWEEP_FIRST"
breaks ALL_LISTS P1 "-DCACHE $forget -DONE_BACKUP"
breaks REMOVING_FIRST P1 "$reuse"
breaks ENOUGH P1 "$repack -DFORGETS=0"
breaks INDEX_FIRST P1 "-DREPACK -DFORGETS=0 -DKEEP1"
breaks VERIFYING P1 "-DREPACK -DFORGETS=0 -DKEEP1 -DMAXE=4 -DSHOWS_REMOVED"
breaks LAST_WORD P2 "$undelete"
breaks ASKING_FORGOTTEN P1 "-DUNCLEAR $reuse -DMAXE=2 -DONE_BACKUP"
breaks GIVING_UP P4 "$reuse -DMAXE=2 -DJANITOR"
breaks ON_THE_ROLL P1 "-DBASE $reuse -DMAXE=2"
quick=yes breaks STRAYS P1 "-DLOSES $reuse -DONE_BACKUP"
breaks EMPTY_LISTS P1 "-DBASE $reuse -DMAXE=2"
exit "$failed"
