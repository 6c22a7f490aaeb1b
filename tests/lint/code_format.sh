#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: the C sources look as .clang-format says.
set -eu
cd "${1:-$(dirname "$0")/../..}"
command -v clang-format >/dev/null || { echo "skipped: no clang-format"; exit 77; }
find agent backends catalog common guest-helper store tests -name '*.[ch]' \
    -print0 | xargs -0 clang-format --dry-run -Werror
