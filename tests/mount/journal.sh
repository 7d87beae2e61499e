#!/usr/bin/env bash
# The journal as its user sees it: the modes of data=, what an fsync costs, what is there after kill -9,
# what damage leaves in the superblock, and that others read our log.
. "$(dirname "$0")/lib.sh"
need_fuse

# counter NAME: one of the daemon's
counter() { extantctl stat "$MNT" | awk -v name="$1" '$1 == name { print $2 }'; }

# kill_daemon IMAGE: as a power cut, but for what the host has cached
kill_daemon()
{
	kill -9 "$(daemons_of "$1")"
	umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"
	wait_gone "$1"
}

# recovered_alike IMAGE: e2fsck and extant make the same tree of it
recovered_alike()
{
	cp --sparse=always "$1" "$WORK/theirs.img"
	e2fsck -p "$WORK/theirs.img" || [ $? = 1 ]
	fsck_clean "$WORK/theirs.img"
	mkdir -p "$WORK/other"
	mount_as extant "$WORK/theirs.img" "$WORK/other" ro
	mount_as extant "$1" "$MNT"
	treecmp "$MNT" "$WORK/other"
	unmount "$WORK/other" "$WORK/theirs.img"
	unmount "$MNT" "$1"
	fsck_clean "$1"
}

# ---- data= ----

# The random operations of fsx and a tree, with little memory and a small log, so that logged data is
# reclaimed, read again from its buffers, checkpointed, freed and used again; then the bytes after a remount.
keeps_what_is_written()
{
	make_image "$IMG" mkfs.extant -t ext3 -b "$1" -J size=4 96M
	mount_as extant "$IMG" "$MNT" "$2"
	fsx -s "${3:-1}" -n 3000 -l 300000 "$MNT/f"
	cp -r /usr/include/linux "$MNT/tree"
	head -c 3000000 /dev/urandom >"$WORK/bytes"
	cp "$WORK/bytes" "$MNT/big"
	for at in 5 2900 1000 17; do
		printf 'somewhere' | tee >(dd of="$WORK/bytes" bs=1 seek=${at}00 conv=notrunc status=none) |
			dd of="$MNT/big" bs=1 seek=${at}00 conv=notrunc,fsync status=none
	done
	head -c 500000 /dev/urandom >"$MNT/gone"
	sync "$MNT/gone"
	head -c 500000 /dev/urandom | dd of="$MNT/gone" conv=notrunc status=none
	rm -r "$MNT/gone" "$MNT/tree"
	cp -r /usr/include/netinet "$MNT/after"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount_as extant "$IMG" "$MNT" ro
	cmp "$WORK/bytes" "$MNT/big"
	diff -r /usr/include/netinet "$MNT/after"
	unmount "$MNT" "$IMG"
}

for mode in ordered journal writeback; do
	try "data=$mode keeps what is written, 1 KiB blocks" keeps_what_is_written 1024 "data=$mode,cache=4M" 1
	try "data=$mode keeps what is written, 4 KiB blocks" keeps_what_is_written 4096 "data=$mode" 2
done

# What was overwritten and not synced is there wholly or not at all, and what was synced is there.
killed_in_the_middle()
{
	make_image "$IMG" mkfs.extant -t ext3 -J size=4 64M
	mount_as extant "$IMG" "$MNT" "$1"
	seq 1 20000 >"$MNT/synced"
	sync "$MNT/synced"
	for i in $(seq 60); do
		seq "$i" "$((i + 300))" >"$MNT/f$i"
		[ $((i % 4)) != 0 ] || sync "$MNT/f$i"
		[ $((i % 3)) != 0 ] || rm "$MNT/f$((i - 1))"
		printf '%06d\n' "$i" | dd of="$MNT/synced" bs=1 seek=$((i * 100)) conv=notrunc status=none
	done
	sync "$MNT/synced"
	cp "$MNT/synced" "$WORK/synced"
	head -c 100000 /dev/urandom >"$MNT/more"
	truncate -s 1000 "$MNT/f60"
	kill_daemon "$IMG"
	recovered_alike "$IMG"
	mount_as extant "$IMG" "$MNT" ro
	cmp "$WORK/synced" "$MNT/synced"
	cmp <(seq 60 360) "$MNT/f60" || cmp <(seq 60 360 | head -c 1000) "$MNT/f60"
	unmount "$MNT" "$IMG"
}

for mode in ordered journal writeback; do
	try "killed with data=$mode, it is recovered alike, and what was synced is there" killed_in_the_middle "data=$mode"
done

# With data=journal, overwriting moves logged blocks; with data=ordered it does not.
logs_data()
{
	local before after
	make_image "$IMG" mkfs.extant -t ext3 $3 64M
	[ -z "$4" ] || tune2fs -o "$4" "$IMG"
	mount_as extant "$IMG" "$MNT" "$1"
	head -c 400000 /dev/zero >"$MNT/f"
	sync "$MNT/f"
	before=$(counter journal.blocks_logged)
	head -c 400000 /dev/urandom | dd of="$MNT/f" bs=100000 conv=notrunc,fsync status=none
	after=$(counter journal.blocks_logged)
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	echo "$((after - before)) blocks logged"
	[ "$2" = yes ] && [ $((after - before)) -gt 90 ] || { [ "$2" = no ] && [ $((after - before)) -lt 30 ]; }
}

# The attribute j, which chattr sets elsewhere, asks for it for one file.
attribute_j()
{
	local before
	make_image "$IMG" mkfs.extant -t ext3 -b 4096 64M
	mount_as extant "$IMG" "$MNT"
	head -c 400000 /dev/zero | tee "$MNT/with" >"$MNT/without"
	unmount "$MNT" "$IMG"
	debugfs -w -R "set_inode_field with flags 0x4000" "$IMG"
	mount_as extant "$IMG" "$MNT"
	before=$(counter journal.blocks_logged)
	head -c 400000 /dev/urandom | dd of="$MNT/without" bs=100000 conv=notrunc,fsync status=none
	[ $(($(counter journal.blocks_logged) - before)) -lt 30 ]
	before=$(counter journal.blocks_logged)
	head -c 400000 /dev/urandom | dd of="$MNT/with" bs=100000 conv=notrunc,fsync status=none
	[ $(($(counter journal.blocks_logged) - before)) -gt 90 ]
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}
try "the attribute j does so for its file" attribute_j
try "data=journal logs what is overwritten" logs_data data=journal yes "-b 4096" ""
try "data=ordered does not" logs_data data=ordered no "-b 4096" ""
try "the superblock's default mode counts" logs_data "" yes "-b 4096" journal_data
try "an option goes before it" logs_data data=writeback no "-b 4096" journal_data

needs_a_journal()
{
	make_image "$IMG" mkfs.extant -t ext2 16M
	must_fail mount_as extant "$IMG" "$MNT" data=journal
	grep -q "data=journal needs a journal" "$WORK/daemon.log"
	mount_as extant "$IMG" "$MNT" data=ordered
	unmount "$MNT" "$IMG"
}
try "data=journal is refused where there is none" needs_a_journal

# ---- fsync ----

# A small append is durable with one flush; a large one has to be home first, and costs a second.
counts_flushes()
{
	local before after
	make_image "$IMG" mkfs.extant -t ext3 -b 4096 64M
	mount_as extant "$IMG" "$MNT"
	: >"$MNT/log"
	sync "$MNT/log"
	before=$(counter journal.flushes)
	for i in $(seq 20); do
		head -c 4096 /dev/urandom | dd of="$MNT/log" oflag=append conv=notrunc,fsync status=none
	done
	after=$(counter journal.flushes)
	echo "20 appends: $((after - before)) flushes"
	[ $((after - before)) -le 22 ]
	before=$after
	head -c 1000000 /dev/urandom >"$MNT/large"
	sync "$MNT/large"
	[ $(($(counter journal.flushes) - before)) -ge 2 ]
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}
try "an fsync of a small append costs one flush" counts_flushes

shares_commits()
{
	local before after
	make_image "$IMG" mkfs.extant -t ext3 -b 4096 64M
	mount_as extant "$IMG" "$MNT"
	before=$(counter journal.commits)
	bench append-fsync-8 "$MNT"
	after=$(counter journal.commits)
	echo "8000 fsyncs, $((after - before)) commits"
	[ $((after - before)) -lt 4000 ]	# half of the bar, which tests/bench/fsync.sh holds on a machine at rest
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}
try "eight processes share their commits" shares_commits

# ---- damage ----

# field NAME: of the superblock
field() { dumpe2fs -h "$IMG" 2>/dev/null | sed -n "s/^$1: *//p"; }

# An inode that a name leads to is wiped out.
damaged_image()
{
	make_image "$IMG" mkfs.extant -t ext3 16M
	mount_as extant "$IMG" "$MNT"
	echo text >"$MNT/file"
	ino=$(stat -c %i "$MNT/file")
	unmount "$MNT" "$IMG"
	[ -z "${1:-}" ] || tune2fs -e "$1" "$IMG"
	debugfs -w -R "clri <$ino>" "$IMG"
}

meets_damage()
{
	must_fail stat "$MNT/file"
	grep -q "damage at inode $ino, block [0-9]*: " "$WORK/daemon.log"
}

superblock_tells()
{
	[ "$(field 'Filesystem state')" = "clean with errors" ]
	[ "$(field 'FS Error count')" -ge 1 ]
	[ "$(field 'First error inode #')" = "$ino" ]
	[ "$(field 'Last error inode #')" = "$ino" ]
	[ "$(field 'First error err')" = EFSCORRUPTED ]
	[ "$(field 'First error block #')" -gt 0 ]
}

errors_continue()
{
	damaged_image "$1"
	mount_as extant "$IMG" "$MNT" "$2"
	meets_damage
	echo more >"$MNT/other"
	unmount "$MNT" "$IMG"
	superblock_tells
	e2fsck -fy "$IMG" || [ $? = 1 ]
	mount_as extant "$IMG" "$MNT"
	[ "$(cat "$MNT/other")" = more ]
	unmount "$MNT" "$IMG"
}

errors_remount_ro()
{
	damaged_image "$1"
	mount_as extant "$IMG" "$MNT" "$2"
	echo before >"$MNT/before"
	meets_damage
	must_fail touch "$MNT/other"
	grep -q "now read-only" "$WORK/daemon.log"
	unmount "$MNT" "$IMG"
	superblock_tells
	e2fsck -fy "$IMG" || [ $? = 1 ]
	mount_as extant "$IMG" "$MNT"
	[ "$(cat "$MNT/before")" = before ]
	unmount "$MNT" "$IMG"
}

errors_panic()
{
	damaged_image "$1"
	mount_as extant "$IMG" "$MNT" "$2"
	must_fail stat "$MNT/file"
	for _ in $(seq 100); do
		[ -n "$(daemons_of "$IMG")" ] || break
		sleep 0.1
	done
	[ -z "$(daemons_of "$IMG")" ]
	umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"
	superblock_tells
}

try "errors=continue records damage and goes on" errors_continue "" errors=continue
try "errors=continue by the superblock" errors_continue continue ""
try "errors=remount-ro records damage and writes no more" errors_remount_ro "" errors=remount-ro
try "errors=remount-ro by the superblock" errors_remount_ro remount-ro ""
# The daemon stops by abort(), which a sanitizer would take for a fault.
[[ $BUILD == *asan* || $BUILD == *tsan* ]] || try "errors=panic records damage and stops" errors_panic "" errors=panic

# Damage that is found and then a kill: the error is in the log, and recovery brings it to light.
killed_after_damage()
{
	damaged_image
	mount_as extant "$IMG" "$MNT" errors=continue
	meets_damage
	echo x >"$MNT/x"
	sync "$MNT/x"
	kill_daemon "$IMG"
	e2fsck -p "$IMG" >"$WORK/said" || [ $? = 1 ]
	cat "$WORK/said"
	grep -q "contains a file system with errors, check forced" "$WORK/said"
	fsck_clean "$IMG"
}
try "an error found before a kill has e2fsck look in full" killed_after_damage

# ---- noload ----

noload_shows_the_old_tree()
{
	make_image "$IMG" mkfs.extant -t ext3 16M
	mount_as extant "$IMG" "$MNT"
	echo one >"$MNT/one"
	unmount "$MNT" "$IMG"
	mount_as extant "$IMG" "$MNT"
	echo two >"$MNT/two"
	sync "$MNT/two"
	kill_daemon "$IMG"
	sum=$(md5sum <"$IMG")
	mount_as extant "$IMG" "$MNT" ro,noload
	[ -e "$MNT/one" ] && [ ! -e "$MNT/two" ]
	unmount "$MNT" "$IMG"
	mount_as extant "$IMG" "$MNT" ro
	[ "$(cat "$MNT/two")" = two ]
	unmount "$MNT" "$IMG"
	[ "$(md5sum <"$IMG")" = "$sum" ]
	must_fail mount_as extant "$IMG" "$MNT" noload
}
try "noload passes the journal over, ro replays it into memory, and no byte changes" noload_shows_the_old_tree

# ---- others ----

refuses_external()
{
	make_image "$WORK/log.img" mke2fs -O journal_dev -b 4096 8M
	make_image "$IMG" mke2fs -t ext3 -b 4096 16M
	tune2fs -O ^has_journal "$IMG"
	debugfs -w -R "feature has_journal" "$IMG"
	debugfs -w -R "ssv journal_dev 0x700" "$IMG"
	must_fail mount_as extant "$IMG" "$MNT"
	grep -q "external journal" "$WORK/daemon.log"
}
try "an external journal is refused by name" refuses_external

# What a cached write changes is dated by the kernel, also when it comes late.
keeps_times()
{
	make_image "$IMG" mkfs.extant -t ext3 16M
	mount_as extant "$IMG" "$MNT"
	head -c 300000 /dev/urandom >"$MNT/new"
	echo old >"$MNT/dated"
	touch -d '2001-02-03 04:05:06' "$MNT/dated"
	sleep 1.2
	stat -c '%n %y' "$MNT"/* >"$WORK/before"
	unmount "$MNT" "$IMG"
	mount_as extant "$IMG" "$MNT"
	stat -c '%n %y' "$MNT"/* >"$WORK/after"
	unmount "$MNT" "$IMG"
	diff "$WORK/before" "$WORK/after"
}
try "times are the same after a remount" keeps_times
finish
