# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian guests with systemd, PostgreSQL, MariaDB and a small application of
# SQLite. To be sourced after rig.sh.
#
#	rig_debian_create NAME [OPTION...]
#	    --memory MIB      default 640
#	    --from DIR        boots copies of DIR/vda.qcow2 and DIR/vdb.qcow2, a
#	                      restored guest's, as they are; else the built
#	                      image is used, and what is under test put into it:
#	                      the guest helper with its unit, as cmake installs
#	                      them; shipped writers are there but not enabled
#	                      makes, starts, waits until the servers answer.
#	                      rig_guest_exec and the others of rig_guest.sh that
#	                      need no writer work on it.
#	rig_debian_writer NAME WRITER [LINE...]
#	                      enables a shipped writer, as an administrator does,
#	                      with these lines of configuration
#	rig_debian_wait NAME  until the servers answer
#	rig_debian_chroot DIR COMMAND
#	                      runs COMMAND with sh as root in the disks of such a
#	                      guest, DIR/vda.raw with DIR/vdb.raw in its place,
#	                      in namespaces of its own: whatever it leaves
#	                      running ends with it
#
# vda is the system (ext4), vdb is /srv/data (ext4) with the folders
# postgresql, mysql, archive (of WAL) and notes. In /usr/local/lib/rig of the
# guest: bank.py makes load on the servers, notes.py is the small application
# (rig-notes.service, not started), `check` looks at all of them. The image is
# built once, from the packages of the Debian that this machine has its own
# from, and kept in RIG_CACHE; it is built anew when its recipe changes.

# The files that say where this machine has its packages from.
_rig_debian_sources() {
	local dir=/etc/apt

	if [ -s "$dir/sources.list.d/debian.sources" ]; then
		echo "$dir/sources.list.d/debian.sources"
	else
		echo "$dir/sources.list"
	fi
	grep -lrs '^ *Acquire' "$dir/apt.conf" "$dir/apt.conf.d" || true
	find "$dir/keyrings" "$dir/trusted.gpg.d" -type f 2>/dev/null || true
}

# The first source with the suite $1, from either format.
_rig_debian_mirror() {
	awk -v suite="$1" '
		/^URIs:/ { uri = $2 }
		/^Suites:/ && $2 == suite { print uri; exit }
		/^deb / {
			for (i = 2; i < NF; i++)
				if ($i ~ /:\// && $(i + 1) == suite) {
					print $i
					exit
				}
		}' "$(_rig_debian_sources | head -n 1)"
}

# An empty Debian in the folder $1 with this machine's apt settings.
_rig_debian_bootstrap() {
	local tree=$1 suite mirror file include=systemd,systemd-sysv,udev
	local http_proxy

	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	mirror=$(_rig_debian_mirror "$suite")
	if [ -z "$mirror" ]; then
		rig_say "no Debian $suite in $(_rig_debian_sources | head -n 1)"
		return 1
	fi
	case $mirror in https:*) include=$include,ca-certificates ;; esac
	eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
	[ -z "${http_proxy:-}" ] || export http_proxy
	debootstrap --variant=minbase --include="$include" "$suite" "$tree" \
	    "$mirror" || return 1
	rm -f "$tree/etc/apt/sources.list"
	for file in $(_rig_debian_sources); do
		install -D -m 644 "$file" "$tree$file"
	done
}

# What the setup in the tree reads lies in /rig there.
_rig_debian_tree() {
	local tree=$1

	_rig_debian_bootstrap "$tree" || return 1
	mkdir -p "$tree/rig/lib"
	cp "$RIG_LIB"/debian/*.service "$RIG_LIB/debian/setup" "$tree/rig/"
	cp "$RIG_LIB"/debian/*.py "$RIG_LIB/debian/check" "$tree/rig/lib/"
	gcc -std=c11 -D_GNU_SOURCE -O2 -static -s -o "$tree/rig/rig_agent" \
	    "$RIG_LIB/guest/rig_agent.c" &&
	    unshare --mount --pid --fork --kill-child \
		chroot "$tree" /rig/setup || return 1
	rm -rf "$tree/rig"
}

# Folder $1 as an ext4 of size $2 in the qcow2 $3.
_rig_debian_disk() {
	local raw=$3.raw

	truncate -s "$2" "$raw" &&
	    mke2fs -q -F -t ext4 -m 0 -E nodiscard -d "$1" "$raw" &&
	    qemu-img convert -f raw -O qcow2 "$raw" "$3" && rm -f "$raw"
}

_rig_debian_images() {
	local dir=$1 tree=$1/tree

	mkdir -p "$tree" && _rig_debian_tree "$tree" >"$dir/log" 2>&1 || {
		tail -n 30 "$dir/log" >&2
		return 1
	}
	mkdir "$dir/data" && mv "$tree"/srv/data/* "$dir/data/" &&
	    _rig_debian_disk "$tree" 1600M "$dir/vda" &&
	    _rig_debian_disk "$dir/data" 512M "$dir/vdb"
}

# Sets _rig_debian to the start of both images' names. Held by a lock of its
# own: other tests need not wait.
_rig_debian_build() {
	local key dir=$RIG_DIR/debian-build

	key=$({
		cat "$RIG_LIB"/debian/* "$RIG_LIB/guest/rig_agent.c"
		declare -f _rig_debian_bootstrap _rig_debian_tree \
		    _rig_debian_disk _rig_debian_images
	} | sha256sum | cut -c 1-16)
	_rig_debian=$RIG_CACHE/debian-$key
	(
		flock 8
		[ ! -e "$_rig_debian-vdb.qcow2" ] || exit 0
		rig_say "building the Debian image, which takes a minute or two"
		start=$SECONDS
		_rig_debian_images "$dir" || exit 1
		rm -f "$RIG_CACHE"/debian-*.qcow2
		mv "$dir/vda" "$_rig_debian-vda.qcow2" &&
		    mv "$dir/vdb" "$_rig_debian-vdb.qcow2" || exit 1
		rm -rf --one-file-system "$dir"
		rig_say "built in $((SECONDS - start)) s"
	) 8>"$RIG_CACHE/debian.lock"
}

# The build under test, as it is installed, in an initramfs at $1 that puts it
# on the root disk.
_rig_debian_initrd() {
	local initrd=$1 tree=$1.tree

	mkdir -p "$tree/payload"
	DESTDIR=$tree/payload cmake --install "$HOLDSTILL_BUILD" \
	    --component guest >/dev/null || return 1
	cp "$RIG_DIR/initrd" "$initrd" && _rig_cpio "$tree" >>"$initrd" &&
	    chmod 644 "$initrd" && rm -rf "$tree"
}

_rig_debian_disk_xml() {
	cat <<-XML
	<disk type='file' device='disk'>
	  <driver name='qemu' type='qcow2' discard='unmap'/>
	  <source file='$1'/>
	  <target dev='$2' bus='virtio'/>
	  <serial>hs-$2</serial>
	</disk>
	XML
}

rig_debian_create() {
	local name=$1 memory=640 from='' dir dev devices=''
	local initrd base
	shift

	while [ $# -gt 0 ]; do
		case $1 in
		--memory) memory=$2 ;;
		--from) from=$2 ;;
		*) rig_say "rig_debian_create: what is $1?"; return 2 ;;
		esac
		shift 2
	done
	dir=$(rig_guest_dir "$name")
	mkdir -p "$dir" && chmod 1777 "$dir" || return 1
	initrd=$RIG_DIR/initrd
	base=$from/
	if [ -z "$from" ]; then
		initrd=$dir/initrd
		_rig_debian_build || return 1
		base=$_rig_debian-
		_rig_debian_initrd "$initrd" || return 1
	fi
	for dev in vda vdb; do
		cp --sparse=always "$base$dev.qcow2" "$dir/$dev.qcow2" ||
		    return 1
		devices+=$(_rig_debian_disk_xml "$dir/$dev.qcow2" "$dev")
	done
	devices+=$(_rig_port_xml org.holdstill.guest.0)
	devices+=$(_rig_port_xml org.holdstill.test.0 "$dir/test.sock")
	_rig_domain_xml "$(rig_domain "$name")" "$dir" "$memory" \
	    "console=ttyS0 quiet panic=-1 $_RIG_FAST_BOOT rdinit=/sbin/rig-root \
systemd.show_status=error" "$initrd" "$devices" >"$dir/domain.xml"
	virsh -q define "$dir/domain.xml" &&
	    virsh -q start "$(rig_domain "$name")" || return 1
	rig_debian_wait "$name"
}

rig_debian_writer() {
	local name=$1 writer=$2
	shift 2

	rig_guest_exec "$name" "
		cd /etc/holdstill 2>/dev/null || mkdir /etc/holdstill &&
		    cd /etc/holdstill && mkdir -p writers.d writers.conf.d &&
		ln -sf /usr/local/lib/holdstill/writers.d/$writer writers.d/ &&
		printf '%s\n' $(printf '%q ' "$@") >writers.conf.d/$writer.conf"
}

# The waiting is the guest's, which has better to do than to answer polls. (The
# clients of PostgreSQL in PATH are slow scripts.)
# shellcheck disable=SC2016 # expanded in the guest
_rig_debian_up='
for i in $(seq 600); do
	/usr/lib/postgresql/*/bin/pg_isready -q &&
	    mariadb-admin --silent ping >/dev/null 2>&1 && exit
	sleep 0.3
done
journalctl -b --no-pager | tail -n 60
exit 1'

rig_debian_wait() {
	rig_guest_wait "$1" 180 &&
	    rig_guest_exec -t 200 "$1" "$_rig_debian_up" >&2
}

rig_debian_chroot() {
	# shellcheck disable=SC2016 # expanded inside
	unshare --mount --pid --fork --kill-child bash -c '
		set -e
		root=$1/root
		mkdir -p "$root"
		mount -o loop "$1/vda.raw" "$root"
		mount -o loop "$1/vdb.raw" "$root/srv/data"
		mount -t proc proc "$root/proc"
		mount -t tmpfs run "$root/run"
		mount -t tmpfs dev "$root/dev"
		mkdir -p "$root/run/lock" "$root/dev/shm"
		chmod 1777 "$root/dev/shm"
		for node in null:3 zero:5 urandom:9; do
			mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"
		done
		chroot "$root" /bin/sh -c "$2"' bash "$1" "$2"
}
