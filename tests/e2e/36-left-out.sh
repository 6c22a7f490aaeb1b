#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: "application" is not said of a backup that does not have a writer's
# data, and that writer does not hear "committed" of it.
set -eu

# shellcheck source=tests/lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=tests/lib/holdstill.sh
. "$(dirname "$0")/../lib/holdstill.sh"

# A writer that logs what it hears; the file NAME.data has what it says of its
# data.
writer() {
	rig_guest_exec web "
		mkdir -p /etc/holdstill/writers.d /run/rig/w
		: >/run/rig/w/$1.data
		cat >/etc/holdstill/writers.d/$1 <<'WRITER'
#!/bin/sh
while read -r word rest; do
	echo \"\$word \$rest\" >>/run/rig/w/$1.log
	[ \"\$word\" != meta ] || continue
	[ \"\$word\" != prepare ] || cat /run/rig/w/$1.data
	[ \"\$word\" != freeze ] || echo 'meta position 41'
	echo ok
done
WRITER
		chmod 755 /etc/holdstill/writers.d/$1"
}

# lies PATH...: the ledger says that.
lies() {
	rig_guest_exec web "for p in $*; do echo \"data \$p\"; done \
	    >/run/rig/w/ledger.data"
}

heard() {
	rig_guest_exec web "cat /run/rig/w/$1.log 2>/dev/null; true"
}

# point STATUS LEVEL REASON OPTION...: a backup whose point is so. What was heard
# before is forgotten.
point() {
	local status=$1 level=$2 reason=$3
	shift 3

	rig_guest_exec web 'rm -f /run/rig/w/*.log'
	hs_make "$status" "" "$@"
	assert_json "$HS_JSON" ".points[0] | .consistency == \"$level\" and
	    .freeze.proved and (.consistency_reason | test(\"$reason\"))"
}

has() {
	point 0 application '^$' --require application "$@"
	assert_contains "$(heard ledger)" "committed $HS_POINT"
}

# lacks REASON OPTION...: and whoever wants it to be there gets no backup.
lacks() {
	local reason=$1
	shift

	point 3 filesystem "writer 'ledger'.* $reason" "$@"
	assert_match "$ASSERT_ERR" "$reason"
	assert_contains "$(heard ledger)" abort
	assert_not_contains "$(heard ledger)" freeze
	assert_not_contains "$(heard ledger)" committed
	assert_exit 1 holdstill backup "$HS_DOM" --require application "$@"
	assert_not_contains "$(heard ledger)" freeze
}

not_there="lies on a file system that is not in the backup"

hs_guest --disk vda:64M:ext4 --disk vdb:64M:ext4
writer ledger
rig_guest_exec web 'mkdir -p /mnt/a/books /mnt/b/books /etc/holdstill
	ln -s ../b/books /mnt/a/link'

# Where it lies is in the backup.
lies /mnt/a/books /mnt/b/books
has
lies /mnt/a/books
has --exclude-disk vdb

# Where it lies is not.
lies /mnt/a/books /mnt/b/books
lacks "its data in '/mnt/b/books' $not_there" --exclude-disk vdb
lies /mnt/a/link
lacks "its data in '/mnt/a/link' $not_there" --exclude-disk vdb
has

# It lies below.
rig_guest_exec web 'mkdir -p /mnt/a/books/old
	mount --bind /mnt/b/books /mnt/a/books/old'
lies /mnt/a/books
lacks "has '/mnt/a/books/old' below it" --exclude-disk vdb
has
rig_guest_exec web 'umount /mnt/a/books/old'

# Nothing is known of it: as good as there if nothing is left out.
lies
has
lacks "does not say where its data lies, and '/mnt/b'" --exclude-disk vdb
rig_guest_exec web 'umount /mnt/b'
lies
has --exclude-disk vdb
rig_guest_exec web 'mount /dev/vdb /mnt/b'

# In memory, or in no place at all.
lies /run/rig
lacks "its data in '/run/rig' $not_there"
lies /mnt/a/nowhere
lacks "its data in '/mnt/a/nowhere' cannot be found: No such file"

# An optional one costs nothing, and does not hear of it.
rig_guest_exec web 'printf "[writer ledger]\nrequired = no\n" \
    >/etc/holdstill/guest.conf
	killall -q -KILL holdstill-guest; true'
hs_helper_wait web
writer cache
rig_guest_exec web 'echo "data /mnt/a" >/run/rig/w/cache.data'
lies /mnt/b
point 0 application '^$' --exclude-disk vdb
assert_json "$HS_JSON" "any(.points[0].freeze.writers[]; .name == \"ledger\" and
    .state == \"failed\" and (.reason | test(\"$not_there\")))"
assert_contains "$(heard cache)" "committed $HS_POINT"
assert_not_contains "$(heard ledger)" committed

# Neither does a hook say where.
# shellcheck disable=SC2016 # expanded in the guest
rig_guest_exec web 'rm /etc/holdstill/writers.d/*
	mkdir -p /etc/qemu/fsfreeze-hook.d
	printf "#!/bin/sh\necho \"\$1\" >>/run/rig/w/hook.log\n" \
	    >/etc/qemu/fsfreeze-hook.d/flush
	chmod 755 /etc/qemu/fsfreeze-hook.d/flush'
point 0 application '^$'
assert_contains "$(heard hook)" freeze
point 3 filesystem "'hook:flush'.* does not say" --exclude-disk vdb
