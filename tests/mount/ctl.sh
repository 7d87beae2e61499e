#!/usr/bin/env bash
# extantctl and a running mount: counters, schedulers, sync, an unmount that waits; and recovery of
# an image at rest.
. "$(dirname "$0")/lib.sh"
need_fuse

mounted()
{
	make_image "$IMG" mke2fs -t ext3 -b 1024 64M
	mount_as extant "$IMG" "$MNT" "$@"
}

# counter NAME: its value now
counter() { extantctl stat "$MNT" | awk -v name="$1" '$1 == name { print $2 }'; }

counters_count()
{
	mounted
	before=$(counter journal.commits)
	echo text >"$MNT/file"
	sync "$MNT/file"
	after=$(counter journal.commits)
	[ "$after" -gt "$before" ]
	extantctl trace "$MNT" | grep -q journal.commit
	extantctl top "$MNT" 1 1 | grep -q disk.write_bytes
}

# One copy each way, and a few system calls for each MiB that is moved in large requests.
data_moves_with_one_copy()
{
	mounted
	dd if=/dev/urandom of="$MNT/file" bs=1M count=8 conv=fsync 2>/dev/null
	[ "$(counter data.write_bytes)" = $((8 << 20)) ]
	[ "$(counter data.write_copies_per_mib)" = 1.00 ]
	calls=$(counter data.write_calls_per_mib)
	[ "${calls%.*}" -lt 8 ]
	extantctl umount "$MNT"
	mount_as extant "$IMG" "$MNT"
	dd if="$MNT/file" of=/dev/null bs=1M 2>/dev/null
	[ "$(counter data.read_bytes)" = $((8 << 20)) ]
	[ "$(counter data.read_copies_per_mib)" = 1.00 ]
	calls=$(counter data.read_calls_per_mib)
	echo "reading takes $calls calls a MiB"
	[ "${calls%.*}" -lt 24 ]	# without root's read-ahead the kernel asks for 128 KiB at a time
	extantctl umount "$MNT"
}

scheduler_changes_under_load()
{
	mounted sched=noop
	writers=()
	for i in $(seq 8); do
		dd if=/dev/urandom of="$MNT/file$i" bs=64k count=48 conv=fsync 2>/dev/null &
		writers+=($!)
	done
	for name in sstf scan cscan deadline noop; do
		extantctl sched "$MNT" "$name"
	done
	wait "${writers[@]}"	# not the daemon, which is this shell's child too
	must_fail extantctl sched "$MNT" lifo
	sha256sum "$MNT"/file* >"$WORK/before"
	extantctl umount "$MNT"
	mount_as extant "$IMG" "$MNT"
	sha256sum --quiet -c "$WORK/before"
	extantctl umount "$MNT"
	fsck_clean "$IMG"
}

# What extantctl sync returned from survives the daemon's death without an fsync.
sync_makes_durable()
{
	mounted
	mkdir "$MNT/dir"
	seq 10000 >"$MNT/dir/numbers"
	sync -f "$MNT"	# the kernel's pages to the daemon
	extantctl sync "$MNT"
	pid=$(daemons_of "$IMG")
	kill -9 "$pid"
	wait_gone "$IMG" 10
	umount -l "$MNT"
	mount_as extant "$IMG" "$MNT"
	seq 10000 | cmp - "$MNT/dir/numbers"
	extantctl umount "$MNT"
	fsck_clean "$IMG"
}

# When it returns, the daemon holds the image no more and everything is in it.
umount_waits()
{
	mounted
	for i in $(seq 300); do
		head -c 20000 /dev/urandom >"$MNT/file$i"
	done
	extantctl umount "$MNT"
	fsck_clean "$IMG"
	[ "$(debugfs -R 'ls -p /' "$IMG" 2>/dev/null | grep -c file)" = 300 ]
}

recover_empties_the_log()
{
	mounted
	mkdir "$MNT/kept"
	extantctl sync "$MNT"
	kill -9 "$(daemons_of "$IMG")"
	wait_gone "$IMG" 10
	umount -l "$MNT"
	dumpe2fs -h "$IMG" 2>/dev/null | grep -q needs_recovery
	extantctl recover "$IMG"
	must_fail sh -c "dumpe2fs -h $IMG 2>/dev/null | grep -q needs_recovery"
	fsck_clean "$IMG"
	debugfs -R 'ls -p /' "$IMG" 2>/dev/null | grep -q kept
}

# As umount(8) calls it: by the name of the link that `make install` makes.
umount_helper_waits()
{
	local helper=$WORK/umount.fuse.extant status
	ln -s "$(command -v extantctl)" "$helper"
	mounted
	head -c 20000000 /dev/urandom >"$MNT/file"
	(cd "$MNT" && status=0 && { "$helper" "$MNT" || status=$?; } && [ "$status" = 32 ])
	"$helper" "$MNT" -t fuse.extant
	fsck_clean "$IMG"
	flock -n "$IMG" true
	# Nobody answers for this one any more; it is unmounted all the same.
	mount_it "$IMG" "$MNT"
	kill -9 "$(daemons_of "$IMG")"
	wait_gone "$IMG" 10
	"$helper" "$MNT"
	must_fail mountpoint -q "$MNT"
	status=0
	"$helper" || status=$?
	[ "$status" = 2 ]
}

installed_names_are_those_that_mount_looks_for()
{
	local root=$WORK/root
	make -s -C "$(dirname "$0")/../.." BUILD="$BUILD" DESTDIR="$root" DEPS= install
	[ "$(readlink "$root/sbin/mount.extant")" = /usr/local/bin/extant ]
	[ "$(readlink "$root/sbin/umount.fuse.extant")" = /usr/local/sbin/extantctl ]
	[ -x "$root/usr/local/bin/extant" ]
	[ -x "$root/usr/local/sbin/extantctl" ]
	[ -f "$root/usr/local/share/man/man8/extant.8" ]
	make -s -C "$(dirname "$0")/../.." BUILD="$BUILD" DESTDIR="$root" DEPS= uninstall
	[ -z "$(find "$root" ! -type d)" ]
}

what_is_no_mount_is_named()
{
	must_fail extantctl stat "$WORK"
	extantctl stat "$WORK" 2>&1 | grep -q 'nothing is mounted'
	must_fail extantctl stat
	must_fail extantctl nonsense "$WORK"
	truncate -s 1M "$WORK/zeros.img"
	must_fail extantctl recover "$WORK/zeros.img"
}

try "counters count" counters_count
try "data moves with one copy each way" data_moves_with_one_copy
try "the scheduler changes under load, and nothing is lost" scheduler_changes_under_load
try "extantctl sync makes durable" sync_makes_durable
try "extantctl umount waits for the image" umount_waits
try "the helper of umount waits too" umount_helper_waits
try "make install makes the links" installed_names_are_those_that_mount_looks_for
try "extantctl recover empties the log" recover_empties_the_log
try "what is no mount is named" what_is_no_mount_is_named
finish
