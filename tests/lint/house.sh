#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every file of store/, backends/ and catalog/ is to be found in
# docs/architecture.md, in the table of its folder.  Usage: house.sh [TREE]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 1
page=docs/architecture.md
failed=0

# The files and patterns in the table of a folder; a folder in it ends with /.
# shellcheck disable=SC2016
named() {
	awk -v head="| \`$1/\`" '
		index($0, head) == 1 { ours = 1 }
		!/^\|/ { ours = 0 }
		ours { print }' "$page" | grep -o '`[^`]*`' | tr -d '`'
}

for folder in store store/seal backends catalog; do
	mapfile -t patterns < <(named "$folder")
	for path in "$folder"/*.c "$folder"/*/; do
		[[ -e $path ]] || continue
		[[ $path == store/seal/ || $path == catalog/schema/ ]] &&
			continue
		name=${path#"$folder"/}
		for pattern in "${patterns[@]}"; do
			# shellcheck disable=SC2053
			[[ $name == $pattern ]] && continue 2
		done
		echo "$page: $path is in no table of files"
		failed=1
	done
	for pattern in "${patterns[@]}"; do
		[[ $pattern == *.c ]] || continue
		compgen -G "$folder/$pattern" >/dev/null && continue
		echo "$page: there is no $folder/$pattern"
		failed=1
	done
done
exit "$failed"
