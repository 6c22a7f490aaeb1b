# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Kernel and initramfs of the test guests, and the choice of KVM.
#
#	rig_build_guest       kernel, base, helper and qemu-ga images; kept in
#	                      RIG_CACHE, made anew when their sources change.
#	rig_helper_is_there   the guests have the guest helper inside
#
# An initramfs is several cpio archives in a row: the base from the cache,
# then the helper of the build under test, then qemu-ga if asked for.

_RIG_MODULES=(virtio_pci virtio_blk virtio_console crc32c_intel
    crc32c_generic xfs btrfs loop dm_mod)

rig_helper_is_there() {
	[ -x "${HOLDSTILL_BUILD:-/nonexistent}/guest-helper/holdstill-guest" ]
}

# Folder $1 as an uncompressed cpio archive (nothing to unpack slowly).
_rig_cpio() {
	(cd "$1" && find . | cpio -o -H newc --quiet -R 0:0)
}

# Fetches package $1 and unpacks it into folder $2.
_rig_unpack() {
	local tmp

	tmp=$(mktemp -d "$RIG_CACHE/tmp.XXXXXX")
	(cd "$tmp" && apt-get download -qq "$1" 2>&1 | grep -v '^W:')
	if ! compgen -G "$tmp/*.deb" >/dev/null; then
		rm -rf "$tmp"
		rig_say "cannot fetch package $1"
		return 1
	fi
	rm -rf "$2"
	dpkg -x "$tmp"/*.deb "$tmp/root" && mv "$tmp/root" "$2"
	rm -rf "$tmp"
}

# The kernel package is fetched once; a cached one stays good.
_rig_kernel_fetch() {
	local package

	[ -e "$RIG_CACHE/kernel/boot" ] && return 0
	package=$(apt-cache depends linux-image-cloud-amd64 |
	    awk '/Depends: linux-image/ { print $2; exit }')
	[ -n "$package" ] || package=linux-image-cloud-amd64
	_rig_unpack "$package" "$RIG_CACHE/kernel" || return 1
	busybox depmod -b "$RIG_CACHE/kernel" "$(_rig_kernel_version)"
}

_rig_kernel_version() {
	local dir

	for dir in "$RIG_CACHE"/kernel/lib/modules/*; do
		echo "${dir##*/}"
	done
}

# Paths of the modules $@ and of all they depend on, from modules.dep.
_rig_module_closure() {
	local dep

	dep=$RIG_CACHE/kernel/lib/modules/$(_rig_kernel_version)/modules.dep
	awk -v want="$*" '
	{
		path = substr($1, 1, length($1) - 1)
		name = path
		sub(/.*\//, "", name)
		sub(/\.ko.*/, "", name)
		gsub(/-/, "_", name)
		of[name] = path
		$1 = ""
		deps[path] = $0
	}
	function take(path,   n, i, d) {
		if (path in seen)
			return
		seen[path] = 1
		n = split(deps[path], d, " ")
		for (i = 1; i <= n; i++)
			take(d[i])
		print path
	}
	END {
		n = split(want, w, " ")
		for (i = 1; i <= n; i++)
			if (w[i] in of)
				take(of[w[i]])
	}' "$dep"
}

_rig_base_tree() {
	local root=$1 version mod applet from to tool

	version=$(_rig_kernel_version)
	from=$RIG_CACHE/kernel/lib/modules/$version
	to=$root/lib/modules/$version
	mkdir -p "$root"/{bin,sbin,usr/sbin,etc,proc,sys,dev,run,tmp,root,mnt}
	mkdir -p "$to"
	for applet in $(busybox --list); do
		ln -sf /bin/busybox "$root/bin/$applet"
	done
	rm -f "$root/bin/busybox"
	cp "$(command -v busybox)" "$root/bin/busybox"
	ln -sf /bin/busybox "$root/sbin/modprobe"
	ln -sf /bin/busybox "$root/init"
	ln -sf /bin/busybox "$root/sbin/init"
	cp "$RIG_LIB/guest/inittab" "$root/etc/"
	cp "$RIG_LIB"/guest/rig-* "$root/sbin/"
	echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
	for mod in $(_rig_module_closure "${_RIG_MODULES[@]}"); do
		install -D -m 644 "$from/$mod" "$to/$mod"
		strip --strip-debug "$to/$mod"
	done
	busybox depmod -b "$root" "$version"
	mknod "$root/dev/console" c 5 1
	for tool in rig_agent rig_tool; do
		gcc -std=c11 -D_GNU_SOURCE -O2 -static -s \
		    -o "$root/sbin/$tool" "$RIG_LIB/guest/$tool.c" || return 1
	done
}

# The base archive is named by a hash of what it is made of.
_rig_base_build() {
	local key tmp

	key=$(cat "$RIG_LIB"/guest/* "$RIG_LIB/rig_image.sh" \
	    "$(command -v busybox)" <(_rig_kernel_version) | sha256sum |
	    cut -c 1-16)
	_rig_base=$RIG_CACHE/base-$key.cpio
	[ -e "$_rig_base" ] && return 0
	tmp=$(mktemp -d "$RIG_CACHE/tmp.XXXXXX")
	chmod 755 "$tmp"
	if ! _rig_base_tree "$tmp" || ! _rig_cpio "$tmp" >"$_rig_base.new"
	then
		rm -rf "$tmp"
		return 1
	fi
	rm -rf "$tmp" "$RIG_CACHE"/base-*.cpio
	mv "$_rig_base.new" "$_rig_base"
}

# qemu-ga is dynamic: its libraries are those of the host.
_rig_qga_build() {
	local lib tree=$RIG_CACHE/qga qga

	qga=$tree/usr/sbin/qemu-ga
	[ -e "$RIG_CACHE/qga.cpio" ] && return 0
	_rig_unpack qemu-guest-agent "$tree.deb" || return 1
	rm -rf "$tree"
	install -D -m 755 "$tree.deb/usr/sbin/qemu-ga" "$qga"
	for lib in $(ldd "$qga" | grep -o '/[^ ]*'); do
		install -D -m 755 "$(realpath "$lib")" "$tree$lib"
	done
	_rig_cpio "$tree" >"$RIG_CACHE/qga.cpio.new"
	mv "$RIG_CACHE/qga.cpio.new" "$RIG_CACHE/qga.cpio"
	rm -rf "$tree" "$tree.deb"
}

rig_build_guest() {
	mkdir -p "$RIG_CACHE" && _rig_kernel_fetch && _rig_base_build ||
	    return 1
	cp "$RIG_CACHE"/kernel/boot/vmlinuz-* "$RIG_DIR/vmlinuz"
	cp "$_rig_base" "$RIG_DIR/initrd"
	if rig_helper_is_there; then
		install -D -m 755 \
		    "$HOLDSTILL_BUILD/guest-helper/holdstill-guest" \
		    "$RIG_DIR/helper/usr/sbin/holdstill-guest"
		_rig_cpio "$RIG_DIR/helper" >>"$RIG_DIR/initrd"
	fi
	chmod 644 "$RIG_DIR/vmlinuz" "$RIG_DIR/initrd"
}

# KVM may open and still never run an instruction: a guest has to speak.
_rig_kvm_runs() {
	[ -w /dev/kvm ] || return 1
	timeout 6 qemu-system-x86_64 -accel kvm -m 128 -nodefaults -display none \
	    -no-reboot -serial stdio -kernel "$RIG_DIR/vmlinuz" \
	    -append "console=ttyS0 earlyprintk=serial panic=-1" \
	    </dev/null 2>/dev/null | grep -q -m 1 'Linux version'
}

# Prints kvm or qemu; asked once per boot of this machine.
_rig_accel() {
	local verdict=$RIG_SHARED/accel boot

	boot=$(cat /proc/sys/kernel/random/boot_id)
	if [ -n "${HOLDSTILL_TEST_ACCEL:-}" ]; then
		echo "$HOLDSTILL_TEST_ACCEL"
		return
	fi
	if [ "$(cut -d' ' -f1 "$verdict" 2>/dev/null)" != "$boot" ]; then
		if _rig_kvm_runs; then
			echo "$boot kvm"
		else
			echo "$boot qemu"
		fi >"$verdict"
	fi
	cut -d' ' -f2 "$verdict"
}
