# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What scripts/test, scripts/demo and scripts/soak share: packages, builds.
#
#	setup_packages LOG SECTION...
#	                      installs what is missing of these sections of
#	                      packages.txt; 1 with a plain word if it cannot
#	setup_missing SECTION...
#	                      names of the packages that are missing
#	setup_build LOG PRESET TARGET...
#	                      configures build-PRESET as in CMakePresets.json
#	                      and builds the targets; no target: all
#
# Variables: SETUP_TOP (the tree), SETUP_JOBS (default: one a processor).

SETUP_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SETUP_JOBS=${SETUP_JOBS:-$(nproc)}
_setup_cache=${HOLDSTILL_TEST_CACHE:-/var/cache/holdstill-test}

_setup_wanted() {
	local section

	for section in "$@"; do
		awk -v want="[$section]" '
			/^\[/ { on = ($1 == want); next }
			on && NF && !/^#/ { print $1 }
		' "$SETUP_TOP/scripts/packages.txt"
	done
}

setup_missing() {
	local package

	for package in $(_setup_wanted "$@"); do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
		    grep -qx installed || echo "$package"
	done
}

# Databases are wanted as programs; Debian's packages would start them as
# services as well, and only this file keeps them from it.
_setup_install() {
	local policy=/usr/sbin/policy-rc.d own='' status=0

	if [ ! -e "$policy" ]; then
		own=1
		printf '%s\n' '#!/bin/sh' 'case $* in' \
		    '*mariadb*|*mysql*|*postgresql*|*redis*) exit 101 ;;' \
		    'esac' >"$policy"
		chmod 755 "$policy"
	fi
	apt-get install -y --no-install-recommends "$@" || status=$?
	[ -z "$own" ] || rm -f "$policy"
	return "$status"
}

# The guests' kernel is fetched, not installed; that needs fresh lists, too.
_setup_kernel_missing() {
	case " $* " in
	*' guest '*) [ ! -e "$_setup_cache/kernel/boot" ] ;;
	*) return 1 ;;
	esac
}

setup_packages() {
	local log=$1 missing words
	shift

	if ! command -v dpkg-query >/dev/null ||
	    ! command -v apt-get >/dev/null; then
		echo "This is not a Debian system: install by hand what" \
		    "scripts/packages.txt names." >&2
		return 1
	fi
	missing=$(setup_missing "$@")
	words=$(xargs <<<"$missing")
	[ -n "$missing" ] || _setup_kernel_missing "$@" || return 0
	if [ "$(id -u)" != 0 ]; then
		[ -n "$missing" ] || return 0
		echo "Missing packages: $words" >&2
		echo "Run this as root, or install them first." >&2
		return 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	if ! apt-get update >>"$log" 2>&1 && [ -z "$missing" ]; then
		echo "apt-get update failed: the guests' kernel may not be" \
		    "found ($log)" >&2
	fi
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086 # one word for each package
	_setup_install $words >>"$log" 2>&1 &&
	    return 0
	tail -n 15 "$log" >&2
	echo "These packages could not be installed: $words" >&2
	echo "Is there a network, and a Debian 12 mirror? All of it: $log" >&2
	return 1
}

setup_build() {
	local log=$1 preset=$2
	shift 2

	(
		cd "$SETUP_TOP" && cmake --preset "$preset" &&
		    cmake --build "build-$preset" -j "$SETUP_JOBS" \
			${1:+--target "$@"} -- --quiet
	) >"$log" 2>&1
}
