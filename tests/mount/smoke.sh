#!/usr/bin/env bash
# The main trip, and the daemon's manners: mount, work, unmount, check; what is refused is refused
# with one line that names it and a status other than 0; a signal unmounts without losing a byte.
. "$(dirname "$0")/lib.sh"
need_fuse
[ "$DRIVER" = extant ] || { skip "${0##*/}" "asks for extant's own manners"; finish; }

# refused STATUS PATTERN COMMAND...: ends with that status, says one line, and it fits.
refused()
{
	local wanted=$1 pattern=$2 status=0
	shift 2
	"$@" >"$WORK/said" 2>&1 || status=$?
	cat "$WORK/said"
	[ "$status" = "$wanted" ] || { echo "status $status, not $wanted"; return 1; }
	[ "$(wc -l <"$WORK/said")" = 1 ] && grep -q -- "$pattern" "$WORK/said"
}

fresh() { make_image "$IMG" mke2fs -t ext3 -b 4096 64M; }

# For `!`, which `set -e` passes over.
fails() { ! "$@"; }

daemon_pid() { daemons_of "$IMG" | head -n 1; }

carries_a_tree()
{
	make_image "$IMG" mke2fs -t "$1" -b "$2" -I "$3" 128M
	mount_it "$IMG" "$MNT"
	cp -a src include "$MNT/"
	ln "$MNT/src/daemon/main.c" "$MNT/link"
	ln -s src/daemon "$MNT/symlink"
	truncate -s 3G "$MNT/sparse"
	diff -r src "$MNT/src"
	diff -r include "$MNT/include"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	diff -r src "$MNT/src"
	[ "$(stat -c %h "$MNT/link")" = 2 ]
	[ "$(readlink "$MNT/symlink")" = src/daemon ]
	[ "$(stat -c %s "$MNT/sparse")" = 3221225472 ]
	fails touch "$MNT/new"
	unmount "$MNT" "$IMG"
}

read_only_changes_no_byte()
{
	local before
	fresh
	before=$(sha256sum <"$IMG")
	mount_it "$IMG" "$MNT" ro
	find "$MNT" -ls >/dev/null
	unmount "$MNT" "$IMG"
	[ "$(sha256sum <"$IMG")" = "$before" ]
}

our_own_images_too()
{
	mkfs.extant -q -F "$IMG" 64M
	mount_it "$IMG" "$MNT"
	cp -a src "$MNT/"
	diff -r src "$MNT/src"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

options_are_seen()
{
	fresh
	mount_it "$IMG" "$MNT" ro,nosuid,nodev,noexec,noatime,fsname=here
	grep " $MNT ro,nosuid,nodev,noexec,noatime .*- fuse.extant here " /proc/self/mountinfo
	unmount "$MNT" "$IMG"
}

mount_needs_sense()
{
	fresh
	refused 1 "image and a mount point" extant
	refused 1 '"frobnicate"' extant -o frobnicate "$IMG" "$MNT"
	refused 1 '"both" is none of' extant -o data=both "$IMG" "$MNT"
	refused 32 "nothing.img: No such file" extant "$WORK/nothing.img" "$MNT"
	refused 32 "nowhere: No such file" extant "$IMG" "$WORK/nowhere"
	refused 32 "not a directory" extant "$IMG" "$IMG"
	fails mountpoint -q "$MNT"
}

other_contents_are_named()
{
	head -c 4194304 /dev/zero >"$IMG"
	refused 32 "not an ext2 or ext3" extant "$IMG" "$MNT"
	printf 'EFI PART' | dd of="$IMG" bs=512 seek=1 conv=notrunc status=none
	# A header without a table behind it is no partition table.
	refused 32 "not an ext2 or ext3" extant "$IMG" "$MNT"
	head -c 4194304 /dev/zero >"$IMG"
	# One partition of type 83, 1024 sectors from sector 2048 on.
	printf '\203\000\000\000\000\010\000\000\000\004\000\000' | dd of="$IMG" bs=1 seek=450 conv=notrunc status=none
	printf '\125\252' | dd of="$IMG" bs=1 seek=510 conv=notrunc status=none
	refused 32 "whole disk with partitions.*part=" extant "$IMG" "$MNT"
	head -c 100 /dev/zero >"$IMG"
	refused 32 "too small" extant "$IMG" "$MNT"
	make_image "$IMG" mke2fs -t ext4 16M
	refused 32 "extent" extant "$IMG" "$MNT"
}

one_mount_at_a_time()
{
	fresh
	mkdir -p "$WORK/second"
	mount_it "$IMG" "$MNT"
	refused 32 "$(daemon_pid)" extant "$IMG" "$WORK/second"
	refused 32 "$(daemon_pid)" extant -o ro "$IMG" "$WORK/second"
	unmount "$MNT" "$IMG"
}

# The daemon may still be writing: the next mount waits for it.
mounted_again_at_once()
{
	fresh
	for i in 1 2 3 4 5; do
		mount_it "$IMG" "$MNT"
		head -c 8000000 /dev/urandom >"$MNT/$i"
		if is_root; then umount "$MNT"; else fusermount3 -u "$MNT"; fi
	done
	wait_gone "$IMG"
	fsck_clean "$IMG"
}

# Also what only the kernel's cache holds, of files that are still open.
a_signal_loses_nothing()
{
	local pid
	fresh
	mount_it "$IMG" "$MNT"
	pid=$(daemon_pid)
	head -c 5000000 /dev/urandom >"$WORK/bytes"
	exec 3>"$MNT/open"
	cat "$WORK/bytes" >&3
	kill "-$1" "$pid"
	wait_gone "$IMG"
	exec 3>&- || true
	fails mountpoint -q "$MNT"
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	cmp "$WORK/bytes" "$MNT/open"
	unmount "$MNT" "$IMG"
}

removed_while_open()
{
	local free
	fresh
	mount_it "$IMG" "$MNT"
	free=$(stat -f -c %f "$MNT")
	exec 3<>"$MNT/gone"
	head -c 1000000 /dev/urandom >&3
	rm "$MNT/gone"
	[ -z "$(find "$MNT" -name '*gone*' -o -name '.fuse_hidden*')" ]
	[ "$(stat -L -c %h /proc/self/fd/3)" = 0 ]
	exec 3>&-
	for _ in $(seq 50); do
		[ "$(stat -f -c %f "$MNT")" = "$free" ] && break
		sleep 0.1
	done
	[ "$(stat -f -c %f "$MNT")" = "$free" ]
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

stays_in_front()
{
	local pid
	fresh
	extant -f "$IMG" "$MNT" 2>"$WORK/said" &
	pid=$!
	for _ in $(seq 50); do
		mountpoint -q "$MNT" && break
		sleep 0.1
	done
	echo text >"$MNT/file"
	kill -USR1 "$pid"
	for _ in $(seq 50); do
		grep -q 'cache.pages [0-9]' "$WORK/said" && break
		sleep 0.1
	done
	kill -INT "$pid"
	wait "$pid"
	grep -q 'cache.pages [0-9]' "$WORK/said"
	grep -q 'unmounted, clean' "$WORK/said"
	fsck_clean "$IMG"
}

as_a_helper_of_mount()
{
	fresh
	ln -sf "$(command -v extant)" "$WORK/mount.extant"
	"$WORK/mount.extant" -f "$IMG" "$MNT"
	fails mountpoint -q "$MNT"
	"$WORK/mount.extant" "$IMG" "$MNT" -s -n -v -t extant -o rw,noatime,frobnicate,user,nofail,x-systemd.automount
	mountpoint "$MNT"
	unmount "$MNT" "$IMG"
	refused 1 frobnicate "$WORK/mount.extant" "$IMG" "$MNT" -o frobnicate
}

try "a tree through ext3, 4 KiB blocks" carries_a_tree ext3 4096 256
try "a tree through ext2, 1 KiB blocks, small inodes" carries_a_tree ext2 1024 128
try "an image of mkfs.extant" our_own_images_too
try "a read-only mount changes no byte" read_only_changes_no_byte
try "mount options are seen" options_are_seen
try "wrong commands are refused" mount_needs_sense
try "what is no file system is named" other_contents_are_named
try "a second mount is refused" one_mount_at_a_time
try "mounting again at once waits" mounted_again_at_once
try "SIGTERM loses nothing" a_signal_loses_nothing TERM
try "SIGINT loses nothing" a_signal_loses_nothing INT
try "a removed open file is usable, then freed" removed_while_open
try "in the foreground" stays_in_front
try "called by mount(8)" as_a_helper_of_mount
finish
