# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A guest with file systems of all kinds on top of each other. To be sourced
# after rig.sh.
#
#	rig_stack_start       rig_start, with the tools and kernel modules that
#	                      the stack needs in the guests to come; skips the
#	                      test where the tools are not to be had
#	rig_stack_create NAME [OPTION...]
#	                      a guest with six disks (rig_guest_create's options
#	                      are passed on) and on them what the guest script
#	                      rig-stack builds; its helper is up
#	rig_stack_write NAME  starts a writer in each folder of RIG_STACK_FROZEN
#	                      and RIG_STACK_FREE, each write with an fdatasync
#	rig_stack_watch NAME DIR...
#	                      the same in these folders, of any guest
#	rig_stack_writes NAME [SECONDS]
#	                      true once all of them have written again; else
#	                      names those that did not
#	rig_stack_within NAME BEGIN_NS END_NS
#	                      a line a folder: how many writes began after BEGIN
#	                      and ended before END (the guest's CLOCK_MONOTONIC),
#	                      how many there were in all, errno of a failed one,
#	                      the folder

# Folders on file systems that a freeze holds, one for each.
RIG_STACK_FROZEN=(/mnt/a /mnt/mid /mnt/inner /mnt/bl /mnt/b /mnt/ovl /mnt/c
    /mnt/cl /mnt/lv /mnt/md /mnt/crypt)
# The same in a mount namespace of their own.
RIG_STACK_HIDDEN=(/mnt/ns /mnt/nsl)
# Writable folders of file systems of these, once more: a bind mount, a
# subvolume, an overlay's upper folder.
RIG_STACK_AGAIN=(/mnt/bind /mnt/c2 /mnt/ov)
# On a file system that knows no freeze.
RIG_STACK_FREE=(/mnt/fat)

_RIG_STACK_TOOLS=(dmsetup mdadm mke2fs mkfs.btrfs btrfs)
_RIG_STACK_MODULES=(dm_crypt raid1 overlay vfat nls_cp437 nls_ascii
    nls_iso8859_1 ecb xts aes_generic cryptd virtio_scsi sd_mod)
_RIG_STACK_DISKS=(vda:96M:ext4 vdb:300M:xfs vdc:128M:none vdd:128M:none
    vde:64M:none vdf:64M:none)

# All the modules once more: there is one list of them.
_rig_stack_modules() {
	local root=$1 version from mod

	version=$(_rig_kernel_version)
	from=$RIG_CACHE/kernel/lib/modules/$version
	for mod in $(_rig_module_closure "${_RIG_MODULES[@]}" \
	    "${_RIG_STACK_MODULES[@]}"); do
		install -D -m 644 "$from/$mod" "$root/lib/modules/$version/$mod"
		strip --strip-debug "$root/lib/modules/$version/$mod"
	done
	busybox depmod -b "$root" "$version"
}

# Dynamic programs of this machine, with their libraries.
_rig_stack_tools() {
	local root=$1 tool lib

	for tool in "${_RIG_STACK_TOOLS[@]}"; do
		tool=$(command -v "$tool")
		install -D -m 755 "$tool" "$root/sbin/$(basename "$tool")"
		for lib in $(ldd "$tool" | grep -o '/[^ ]*'); do
			[ -e "$root$lib" ] ||
				install -D -m 755 "$(realpath "$lib")" "$root$lib"
		done
	done
	gcc -std=c11 -D_GNU_SOURCE -O2 -static -s -pthread \
	    -o "$root/sbin/rig_watch" "$RIG_LIB/guest/rig_watch.c"
}

rig_stack_start() {
	rig_start
	_rig_need "${_RIG_STACK_TOOLS[@]}"
	mkdir "$RIG_DIR/stack"
	_rig_stack_modules "$RIG_DIR/stack" && _rig_stack_tools "$RIG_DIR/stack" &&
	    _rig_cpio "$RIG_DIR/stack" >>"$RIG_DIR/initrd" || return 1
	rm -r "$RIG_DIR/stack"
}

rig_stack_create() {
	local name=$1 disk options=()
	shift

	for disk in "${_RIG_STACK_DISKS[@]}"; do
		options+=(--disk "$disk")
	done
	rig_guest_create "$name" --memory 512 "${options[@]}" "$@" || return 1
	rig_guest_exec -t 120 "$name" "rig-stack" || {
		rig_guest_log "$name"
		return 1
	}
	rig_guest_helper_wait "$name"
}

rig_stack_watch() {
	local name=$1
	shift

	rig_guest_exec "$name" "rig_watch write /run/rig/watch $* \
	    >>/run/rig/writer.log 2>&1 &" &&
	    rig_wait_for 30 "writers in $*" \
		rig_guest_exec "$name" "rig_watch more /run/rig/watch 1"
}

rig_stack_write() {
	rig_stack_watch "$1" "${RIG_STACK_FROZEN[@]}" "${RIG_STACK_AGAIN[@]}" \
	    "${RIG_STACK_FREE[@]}" &&
	    rig_guest_exec "$1" "
		nsenter -m -t \$(cat /run/rig/ns.pid) \
		    rig_watch write /run/rig/watch.ns ${RIG_STACK_HIDDEN[*]} \
		    >>/run/rig/writer.log 2>&1 &" &&
	    rig_wait_for 30 "writers in the stack" rig_stack_writes "$1" 1
}

rig_stack_writes() {
	rig_guest_exec -t $((${2:-10} * 2 + 30)) "$1" "
		rig_watch more /run/rig/watch ${2:-10} || exit 1
		[ ! -e /run/rig/watch.ns ] ||
		    rig_watch more /run/rig/watch.ns ${2:-10}" >&2
}

rig_stack_within() {
	rig_guest_exec "$1" "
		rig_watch within /run/rig/watch $2 $3 || exit 1
		[ ! -e /run/rig/watch.ns ] ||
			rig_watch within /run/rig/watch.ns $2 $3"
}
