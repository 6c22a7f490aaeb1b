#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: nothing that a compiler has made is kept in the tree, builds apart.
# Usage: no_objects.sh [TREE]
set -eu
cd "${1:-$(dirname "$0")/../..}"
LC_ALL=C grep -rlPaz '\A\x7fELF' --exclude-dir=.git --exclude-dir='build-*' . ||
	exit 0
echo "the above are programs or object files"
exit 1
