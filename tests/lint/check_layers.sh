#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: arrows go downward only (docs/architecture.md), and each external
# library is included from its own folder.  Usage: check_layers.sh [TREE]
# Prints each stray as FILE:LINE: text; exit 1 if there is one.
set -eu
cd "${1:-$(dirname "$0")/../..}"

# Each line: a folder and the folders that its files may include from, beside
# their own.  The longest folder that fits a file decides.
layers='
common
common/ini common
common/json common
guest-helper common common/ini
backends common
store backends common common/json
catalog store common common/json
agent/domain common common/json
agent/nbd common
agent/config store common common/ini
agent/quiesce agent/domain store/manifest.h common common/json
agent/source agent/nbd agent/domain store common
agent/restore agent/nbd agent/domain catalog store common
agent/job agent catalog store backends common common/json
agent/cli agent catalog store backends common common/json
agent agent catalog store backends common common/json
'
# Of agent/, the job may use all but the command line.
never='agent/job agent/cli'

# Each line: a library's header (a prefix) and its only folder.
libraries='
libvirt/ agent/domain
libxml/ agent/domain
libnbd.h agent/nbd
lmdb.h store
zstd.h store
zstd_errors.h store
zdict.h store
openssl/ store
argon2.h store/seal
sqlite3.h catalog
ini.h common/ini
cap-ng.h guest-helper
seccomp.h guest-helper
valgrind/ guest-helper
jansson.h common/json
'

find common guest-helper backends store catalog agent -name '*.[ch]' \
    2>/dev/null | sort | xargs -r grep -Hn '^[[:blank:]]*#[[:blank:]]*include' |
awk -v layers="$layers" -v never="$never" -v libraries="$libraries" '
function inside(path, folder) {
	return path == folder || index(path, folder "/") == 1
}
function stray(why) {
	print file ":" line ": " why
	strays = 1
}
# The longest known folder that holds path.
function layer_of(path,    folder, best) {
	best = ""
	for (folder in allowed)
		if (inside(path, folder) && length(folder) > length(best))
			best = folder
	return best
}
function check_own(header,    from, to, n, part, i) {
	from = layer_of(file)
	if (header !~ /\//) {
		stray("\"" header "\" is not written from the top of the tree")
		return
	}
	if (inside(file, forbidden_from) && inside(header, forbidden_to)) {
		stray(from " may not include \"" header "\"")
		return
	}
	to = layer_of(header)
	if (to == from)
		return
	n = split(allowed[from], part, " ")
	for (i = 1; i <= n; i++) {
		# "agent" stands for all below it, other folders for
		# themselves, a header for itself.
		if (part[i] == to || part[i] == header ||
		    (part[i] == "agent" && inside(header, "agent")))
			return
	}
	stray(from " may not include \"" header "\"")
}
function check_library(header,    name) {
	for (name in owner)
		if (index(header, name) == 1 && !inside(file, owner[name]))
			stray("<" header "> belongs to " owner[name])
}
BEGIN {
	n = split(layers, rows, "\n")
	for (i = 1; i <= n; i++) {
		if (rows[i] == "")
			continue
		folder = rows[i]
		sub(/ .*/, "", folder)
		allowed[folder] = substr(rows[i], length(folder) + 2)
	}
	n = split(libraries, rows, "\n")
	for (i = 1; i <= n; i++)
		if (split(rows[i], pair, " ") == 2)
			owner[pair[1]] = pair[2]
	split(never, pair, " ")
	forbidden_from = pair[1]
	forbidden_to = pair[2]
}
{
	split($0, head, ":")
	file = head[1]
	line = head[2]
	if (match($0, /"[^"]+"/))
		check_own(substr($0, RSTART + 1, RLENGTH - 2))
	else if (match($0, /<[^>]+>/))
		check_library(substr($0, RSTART + 1, RLENGTH - 2))
}
END { exit strays }
'
