#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: check_layers.sh finds planted strays of every kind, and only those.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

# plant FILE INCLUDE: runs the check on a tree of that file alone.
plant() {
	rm -rf "${tree:?}"/*
	mkdir -p "$tree/$(dirname "$1")"
	printf '/* x */\n#include %s\n' "$2" >"$tree/$1"
	"$here/check_layers.sh" "$tree" >"$tree/out" 2>&1
}
bad() {
	if plant "$1" "$2" || ! grep -q "^$1:2: " "$tree/out"; then
		echo "not found: $1 includes $2"
		failed=1
	fi
}
good() {
	if ! plant "$1" "$2"; then
		echo "wrongly found: $1 includes $2"
		failed=1
	fi
}

bad common/err.c '"store/store.h"'
bad common/io.c '"common/json/json.h"'
bad common/proto/frame.c '"guest-helper/session.h"'
bad guest-helper/main.c '"common/json/json.h"'
bad guest-helper/main.c '"agent/domain/domain.h"'
bad backends/dir/dir.c '"store/store.h"'
bad store/pack.c '"catalog/catalog.h"'
bad catalog/catalog.c '"backends/backend.h"'
bad catalog/catalog.c '"agent/job/retention.h"'
bad agent/domain/domain.c '"store/manifest.h"'
bad agent/nbd/nbd.c '"agent/source/source.h"'
bad agent/config/config.c '"agent/job/retention.h"'
bad agent/quiesce/quiesce.c '"store/store.h"'
bad agent/source/source.c '"agent/job/backup.h"'
bad agent/restore/restore.c '"agent/cli/cli.h"'
bad agent/job/backup.c '"agent/cli/cli.h"'
bad store/pack.c '"pack.h"'
bad agent/job/backup.c '<libvirt/libvirt.h>'
bad agent/restore/xml.c '<libxml/tree.h>'
bad agent/source/source.c '<libnbd.h>'
bad catalog/db.c '<zstd.h>'
bad backends/dir/dir.c '<openssl/evp.h>'
bad store/digest.c '<argon2.h>'
bad catalog/db.c '<lmdb.h>'
bad agent/job/recover.c '<sqlite3.h>'
bad agent/cli/run.c '<ini.h>'
bad agent/config/config_parse.c '<ini.h>'
bad common/io.c '"common/ini/ini_file.h"'
bad agent/quiesce/quiesce.c '<seccomp.h>'
bad common/io.c '<cap-ng.h>'
bad store/manifest_json.c '<jansson.h>'

good common/err.c '"common/io.h"'
good common/err.c '<stdio.h>'
good common/proto/frame.c '"common/endian.h"'
good guest-helper/main.c '"common/proto/frame.h"'
good guest-helper/conf.c '"common/ini/ini_file.h"'
good guest-helper/confine.c '<seccomp.h>'
good agent/config/config.c '"common/ini/ini_file.h"'
good store/manifest_json.c '"common/json/json.h"'
good store/store.c '"backends/backend.h"'
good store/seal/kdf.c '<argon2.h>'
good catalog/catalog.c '"store/manifest.h"'
good catalog/db.c '<sqlite3.h>'
good agent/domain/xml.c '<libxml/tree.h>'
good agent/quiesce/quiesce.c '"store/manifest.h"'
good agent/source/source.c '"agent/nbd/nbd.h"'
good agent/job/backup.c '"agent/quiesce/quiesce.h"'
good agent/cli/backup.c '"agent/job/backup.h"'
good agent/main.c '"agent/cli/cli.h"'

exit "$failed"
