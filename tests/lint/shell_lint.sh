#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: shellcheck has nothing to say about any script of the tree.
set -eu
cd "${1:-$(dirname "$0")/../..}"
command -v shellcheck >/dev/null || { echo "skipped: no shellcheck"; exit 77; }
# The guests' scripts are busybox's; SC2015 and SC2317 guess wrong here.
{
	echo .ci/run
	grep -lrE -m 1 '^#!/bin/(ba)?sh|^# shellcheck shell=' \
	    guest-helper scripts tests packaging --include='*' |
	    grep -v '^tests/lib/guest/' | sort
} | xargs -n 8 -P "$(nproc)" shellcheck -x -e SC2015,SC2317
