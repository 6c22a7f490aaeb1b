# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Guests of the test rig. NAME is short ("web"); libvirt knows the guest as
# $(rig_domain web), which is unique on this machine. Every function takes
# either.
#
#	rig_domain NAME       the domain's name in libvirt
#	rig_guest_create NAME [OPTION...]
#	    --disk DEV:SIZE:FS[:FORMAT]  vda:512M:ext4; FS ext4, xfs, btrfs,
#	                      none; FORMAT qcow2 (default) or raw. Mounted on
#	                      /mnt/a for vda, /mnt/b for vdb and so on. xfs needs
#	                      300M at least. Default: vda:256M:ext4 and
#	                      vdb:320M:xfs
#	    --no-helper       the guest helper is not started
#	    --no-channel      nor has it a port to be asked on
#	    --qga             QEMU guest agent inside, with its port
#	    --port NAME       one more virtio-serial port; its socket is
#	                      NAME.sock in the guest's folder
#	    --memory MIB      default 256
#	    --cmdline WORDS   more for the kernel's command line
#	    --xml-only        defined, not started
#	                      makes, starts and waits until commands are answered
#	rig_guest_start NAME  virsh start, waits for answers
#	rig_guest_wait NAME [SECONDS]    until commands are answered
#	rig_guest_exec [-t SECONDS] NAME COMMAND
#	                      runs COMMAND with sh in the guest: its standard
#	                      output and error, its exit status; 124 when no
#	                      answer came in time (30 s unless told), 125 without
#	                      a port. One caller at a time for each guest.
#	rig_guest_poweroff NAME          cleanly; waits until it is off
#	rig_guest_reboot NAME            cleanly; waits until it answers again
#	rig_guest_destroy NAME           the domain and all libvirt knows of it
#	rig_guest_dir NAME    its folder: DEV.qcow2 or DEV.raw, console.log,
#	                      test.sock
#	rig_guest_disk NAME DEV          the disk's current file, from libvirt
#	rig_guest_log NAME    console and helper log on standard error
#	rig_guest_helper_wait NAME [SECONDS]
#	                      until the helper process has its port open
#
#	rig_guest_writer_start NAME [DIR...]
#	                      a writer in each DIR (default: all mounted disks):
#	                      numbered 4 KiB records all over 8 MiB, an fdatasync
#	                      every 16, a file renamed every 64, 1 ms pauses
#	rig_guest_writer_stop NAME
#	rig_guest_write_count NAME DIR   writes so far
#	rig_guest_write_gap NAME DIR     ms since the last write ended
#	rig_guest_write_max_gap NAME DIR [reset]
#	                      longest time in ms between two writes; with reset
#	                      the count starts anew. Measured with the guest's
#	                      clock, which stands still while it is paused.
#	rig_guest_writes NAME DIR [SECONDS]
#	                      true once a write ends after the call

# Self tests and probes that cost a quarter of the boot under emulation.
_RIG_FAST_BOOT="mitigations=off audit=0 lsm=capability nokaslr tsc=reliable \
cryptomgr.notests i8042.noaux i8042.nokbd no_timer_check"

rig_domain() {
	case $1 in
	hs[0-9]*-*) echo "$1" ;;
	*) echo "hs$$-$1" ;;
	esac
}

rig_guest_dir() {
	local name=$1

	case $name in hs[0-9]*-*) name=${name#hs*-} ;; esac
	echo "$RIG_DIR/$name"
}

rig_guest_disk() {
	virsh -q domblklist "$(rig_domain "$1")" |
	    awk -v d="$2" '$1 == d { print $2 }'
}

# mkfs of type $1 on the raw image $2. The journal of ext4 is made as small as
# it goes, so that images stay small.
_rig_mkfs() {
	case $1 in
	ext4) mke2fs -q -F -t ext4 -m 0 \
	    -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$2" ;;
	xfs) mkfs.xfs -q -f -K "$2" ;;
	btrfs) mkfs.btrfs -q -f -K "$2" ;;
	none) ;;
	*) rig_say "unknown file system $1"; return 1 ;;
	esac
}

# Disk DEV SIZE FS FORMAT in the folder $1; prints the domain's XML of it.
_rig_disk_make() {
	local dir=$1 dev=$2 size=$3 fs=$4 format=$5
	local raw=$dir/$dev.raw file=$dir/$dev.$format

	truncate -s "$size" "$raw" && _rig_mkfs "$fs" "$raw" || return 1
	if [ "$format" = qcow2 ]; then
		qemu-img convert -f raw -O qcow2 "$raw" "$file" || return 1
		rm -f "$raw"
	fi
	cat <<-XML
	<disk type='file' device='disk'>
	  <driver name='qemu' type='$format' discard='unmap'/>
	  <source file='$file'/>
	  <target dev='$dev' bus='virtio'/>
	  <serial>hs-$dev</serial>
	</disk>
	XML
}

_rig_port_xml() {
	local source=''

	[ -z "${2:-}" ] || source=" path='$2'"
	cat <<-XML
	<channel type='unix'>
	  <source mode='bind'$source/>
	  <target type='virtio' name='$1'/>
	</channel>
	XML
}

_rig_domain_xml() {
	local name=$1 dir=$2 memory=$3 cmdline=$4 initrd=$5 devices=$6 cpu=

	[ "$RIG_ACCEL" != kvm ] || cpu="<cpu mode='host-passthrough'/>"
	cat <<-XML
	<domain type='$RIG_ACCEL'>
	  <name>$name</name>
	  <memory unit='MiB'>$memory</memory>
	  <vcpu>1</vcpu>
	  $cpu
	  <os>
	    <type arch='x86_64' machine='pc'>hvm</type>
	    <kernel>$RIG_DIR/vmlinuz</kernel>
	    <initrd>$initrd</initrd>
	    <cmdline>$cmdline</cmdline>
	  </os>
	  <features><acpi/><apic/></features>
	  <on_poweroff>destroy</on_poweroff>
	  <on_reboot>restart</on_reboot>
	  <on_crash>destroy</on_crash>
	  <devices>
	    <controller type='usb' model='none'/>
	    <controller type='virtio-serial'/>
	    <memballoon model='none'/>
	    <serial type='file'><source path='$dir/console.log'/></serial>
	    $devices
	  </devices>
	</domain>
	XML
}

# The disks of the options as XML; the mounts go to $dir/mounts.
_rig_disks_make() {
	local dir=$1 disk dev size fs format mounts='' letter
	shift

	for disk in "$@"; do
		IFS=: read -r dev size fs format <<<"$disk"
		_rig_disk_make "$dir" "$dev" "$size" "${fs:-none}" \
		    "${format:-qcow2}" || return 1
		letter=${dev#vd}
		[ "${fs:-none}" = none ] ||
			mounts=$mounts,$dev:$fs:/mnt/$letter
	done
	echo "${mounts#,}" >"$dir/mounts"
}

rig_guest_create() {
	local name dom dir memory=256 words='' start=1 qga='' initrd channel=1
	local disks=() ports=() port devices
	name=$1
	shift

	dom=$(rig_domain "$name")
	while [ $# -gt 0 ]; do
		case $1 in
		--disk) disks+=("$2"); shift ;;
		--port) ports+=("$2"); shift ;;
		--memory) memory=$2; shift ;;
		--cmdline) words="$words $2"; shift ;;
		--no-helper) words="$words rig.nohelper" ;;
		--no-channel) channel='' words="$words rig.nohelper" ;;
		--qga) qga=1 ;;
		--xml-only) start= ;;
		*) rig_say "rig_guest_create: what is $1?"; return 2 ;;
		esac
		shift
	done
	[ ${#disks[@]} -gt 0 ] || disks=(vda:256M:ext4 vdb:320M:xfs)
	dir=$(rig_guest_dir "$name")
	initrd=$RIG_DIR/initrd
	mkdir -p "$dir" && chmod 1777 "$dir"
	devices=$(_rig_disks_make "$dir" "${disks[@]}") || return 1
	[ -z "$channel" ] || devices+=$(_rig_port_xml org.holdstill.guest.0)
	devices+=$(_rig_port_xml org.holdstill.test.0 "$dir/test.sock")
	for port in "${ports[@]}"; do
		devices+=$(_rig_port_xml "$port" "$dir/$port.sock")
	done
	if [ -n "$qga" ]; then
		_rig_locked _rig_qga_build || return 1
		initrd=$dir/initrd
		cat "$RIG_DIR/initrd" "$RIG_CACHE/qga.cpio" >"$initrd"
		devices+=$(_rig_port_xml org.qemu.guest_agent.0)
	fi
	words="rig.name=$name rig.mounts=$(cat "$dir/mounts")$words"
	words="console=ttyS0 quiet panic=-1 $_RIG_FAST_BOOT $words"
	_rig_domain_xml "$dom" "$dir" "$memory" "$words" "$initrd" \
	    "$devices" >"$dir/domain.xml"
	virsh -q define "$dir/domain.xml" || return 1
	[ -z "$start" ] || rig_guest_start "$name"
}

# A kernel that finds out the speed of its clock while the machine is busy may
# be wrong by far; such a guest is started again.
rig_guest_start() {
	local try

	for ((try = 0; try < 3; try++)); do
		virsh -q start "$(rig_domain "$1")" && rig_guest_wait "$1" ||
			return 1
		_rig_clock_is_right "$1" && return 0
		virsh -q destroy "$(rig_domain "$1")"
	done
	rig_say "the clock of guest $1 is wrong at each start"
	return 1
}

_rig_ms() {
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

_rig_uptime_ms() {
	rig_guest_exec "$1" 'cat /proc/uptime' | awk '{ print $1 * 1000 }'
}

# As far as the host's clock tells, around the guest's two answers.
_rig_clock_is_right() {
	local before after first second least most guest

	before=$(_rig_ms)
	first=$(_rig_uptime_ms "$1") || return 1
	after=$(_rig_ms)
	sleep 0.3
	least=$(($(_rig_ms) - after))
	second=$(_rig_uptime_ms "$1") || return 1
	most=$(($(_rig_ms) - before))
	guest=$((second - first))
	[ $((guest * 10)) -le $((most * 12 + 200)) ] &&
	    [ $((guest * 10 + 200)) -ge $((least * 8)) ] && return 0
	rig_say "clock of guest $1: $guest ms in $least to $most ms"
	return 1
}

rig_guest_exec() {
	local seconds=30 dir

	if [ "$1" = -t ]; then
		seconds=$2
		shift 2
	fi
	dir=$(rig_guest_dir "$1")
	flock "$dir/exec.lock" \
	    python3 "$RIG_LIB/rig_exec.py" "$dir/test.sock" "$seconds" "$2"
}

# The same for a guest that boots: asked anew each second, since what is sent
# before the guest has its port open is lost.
_rig_exec_again() {
	local dir

	dir=$(rig_guest_dir "$1")
	flock "$dir/exec.lock" \
	    python3 "$RIG_LIB/rig_exec.py" "$dir/test.sock" 20 "$2" again
}

# A guest that takes long says what its console shows.
rig_guest_wait() {
	rig_wait_for "${2:-60}" "answer from guest $1" \
	    _rig_guest_answers "$1" && return 0
	rig_guest_log "$1"
	return 1
}

_rig_guest_answers() {
	_rig_exec_again "$1" 'test ! -s /run/rig/errors' 2>/dev/null
}

_rig_domain_is() {
	[ "$(virsh -q domstate "$(rig_domain "$1")" 2>/dev/null)" = "$2" ]
}

rig_guest_poweroff() {
	rig_guest_exec "$1" poweroff || return 1
	rig_wait_for 30 "power-off of guest $1" _rig_domain_is "$1" "shut off"
}

_rig_guest_booted_anew() {
	local id

	id=$(_rig_exec_again "$1" \
	    'cat /proc/sys/kernel/random/boot_id' 2>/dev/null) &&
	    [ "$id" != "$2" ]
}

rig_guest_reboot() {
	local id

	id=$(rig_guest_exec "$1" \
	    'cat /proc/sys/kernel/random/boot_id; reboot') || return 1
	rig_wait_for 60 "reboot of guest $1" _rig_guest_booted_anew "$1" "$id"
}

rig_guest_log() {
	{
		echo "--- console of $1"
		tail -n 40 "$(rig_guest_dir "$1")/console.log"
		echo "--- helper of $1"
		rig_guest_exec -t 3 "$1" 'tail -n 40 /run/rig/helper.log'
	} >&2
}

_rig_helper_has_port() {
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec "$1" '
		port=$(readlink -f /dev/virtio-ports/org.holdstill.guest.0)
		ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q -- "-> $port\$"'
}

rig_guest_helper_wait() {
	rig_wait_for "${2:-10}" "helper in guest $1" _rig_helper_has_port "$1"
}

_rig_domain_remove() {
	virsh -q domjobabort "$1" >/dev/null 2>&1 || true
	virsh -q destroy "$1" >/dev/null 2>&1 || true
	virsh -q undefine "$1" --managed-save --snapshots-metadata \
	    --checkpoints-metadata --nvram >/dev/null 2>&1 || true
	rm -f "/var/log/libvirt/qemu/$1.log"
	! virsh -q domstate "$1" >/dev/null 2>&1
}

rig_guest_destroy() {
	_rig_domain_remove "$(rig_domain "$1")"
	rm -rf "$(rig_guest_dir "$1")"
}

# Where the writer of a folder shows how far it is.
_rig_writer_file() {
	echo "/run/rig/writer$(tr / _ <<<"$1")"
}

rig_guest_writer_start() {
	local name=$1 dir command=
	shift

	# shellcheck disable=SC2046 # one word for each mount
	[ $# -gt 0 ] || set -- $(rig_guest_exec "$name" 'cat /run/rig/mounts')
	for dir in "$@"; do
		command+="rig_tool write $dir $(_rig_writer_file "$dir")"
		command+=" >>/run/rig/writer.log 2>&1 & "
	done
	rig_guest_exec "$name" "$command" || return 1
	for dir in "$@"; do
		rig_guest_writes "$name" "$dir" || return 1
	done
}

rig_guest_writer_stop() {
	# shellcheck disable=SC2016 # expanded in the guest
	rig_guest_exec "$1" '
		for p in $(pidof rig_tool); do
			tr "\0" " " <"/proc/$p/cmdline" |
			    grep -q "^rig_tool write" && kill "$p"
		done; sync'
}

# Field $3 of what the writer in folder $2 shows.
_rig_writer_show() {
	rig_guest_exec "$1" "rig_tool ${4:-gap} $(_rig_writer_file "$2")" |
	    cut -d' ' -f"$3"
}

rig_guest_write_count() {
	_rig_writer_show "$1" "$2" 1
}

rig_guest_write_gap() {
	_rig_writer_show "$1" "$2" 2
}

rig_guest_write_max_gap() {
	_rig_writer_show "$1" "$2" 3 "${3:-gap}"
}

# The writer may not have made its file yet when this is asked.
rig_guest_writes() {
	local file seconds=${3:-10}

	file=$(_rig_writer_file "$2")
	rig_guest_exec -t $((seconds + 30)) "$1" "
		for i in 1 2 3 4 5 6 7 8 9 10; do
			[ -s $file ] && break
			usleep 100000
		done
		rig_tool more $file $seconds" && return 0
	rig_say "no write in $2 of guest $1 within ${seconds}s"
	return 1
}
