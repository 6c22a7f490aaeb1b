#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: mandoc has nothing to say about any manual page.
set -eu
cd "${1:-$(dirname "$0")/../..}/man"
command -v mandoc >/dev/null || { echo "skipped: no mandoc"; exit 77; }
pages=$(ls ./*.[1-9])
# shellcheck disable=SC2086
mandoc -Tlint -Wwarning $pages
