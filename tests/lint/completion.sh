#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the bash completion offers commands, options, values, points and jobs.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# What the completion asks, answered without libvirt and a repository.
# shellcheck disable=SC2317,SC2016
virsh() { printf 'db1\nweb-1\n$(touch %s/run)\nx;y\n' "$scratch"; }
# shellcheck disable=SC2317
holdstill() {
	printf '{"points":[{"domain":"db1","id":"%s"}]}\n' \
		0123456789abcdef0123456789abcdef
}
cat >"$scratch/holdstill.conf" <<'END'
[job nightly]
domains = *
[ job  weekly ]
domains = *
END
# shellcheck source=/dev/null
. "$top/packaging/holdstill.bash"

# offers "LINE" "WORDS": completing LINE's last word offers exactly these.
offers() {
	local got
	read -ra COMP_WORDS <<<"$1"
	[[ $1 == *' ' ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_holdstill
	got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | xargs)
	if [[ $got != "$2" ]]; then
		echo "'$1' offers '$got', expected '$2'"
		failed=1
	fi
}

offers "holdstill re" "recover repair restore"
offers "holdstill " "backup catalog forget guest init key list prune recover repair restore run show unforget verify"
offers "holdstill --repo /x ver" "verify"
offers "holdstill backup d" "db1"
offers "holdstill backup --req" "--require"
offers "holdstill backup --gr" "--group"
offers "holdstill backup --group --spread " ""
offers "holdstill backup --require " "application crash filesystem"
offers "holdstill show db1@" "db1@latest"
offers "holdstill restore 01" "0123456789abcdef0123456789abcdef"
offers "holdstill restore x --format q" "qcow2"
offers "holdstill forget db1 --keep-w" "--keep-weekly"
offers "holdstill catalog " "rebuild sync"
offers "holdstill key r" "remove rotate-slot"
offers "holdstill --key-file /k key add --rec" "--recovery"
offers "holdstill init --encrypt p" "passphrase public-key"
offers "holdstill key h" "host"
offers "holdstill unforget 01" "0123456789abcdef0123456789abcdef"
offers "holdstill prune --silence " ""
offers "holdstill backup --audit a" "auto"
offers "holdstill guest " "freeze-test status writers"
offers "holdstill guest status w" "web-1"
offers "holdstill guest freeze-test --l" "--lease"
offers "holdstill --config $scratch/holdstill.conf run " "nightly weekly"
offers "holdstill prune --d" "--dry-run"
if offers "holdstill backup " "db1 web-1" && [[ -e $scratch/run ]]; then
	echo "a command in a domain's name was run"
	failed=1
fi
exit "$failed"
