#!/usr/bin/env bash
# fstrim(8): what is free goes out of the image file, and nothing else does.
. "$(dirname "$0")/lib.sh"

blocks_of() { du -k "$IMG" | cut -f 1; }
# The bytes that fstrim says it trimmed.
trim_it() { fstrim -v "$@" "$MNT" | sed 's/.*(\([0-9]*\) bytes).*/\1/'; }

# What makes the file large: data that is removed, with some between that stays.
fill_and_remove()
{
	mkdir "$MNT/gone"
	for i in 1 2 3 4 5 6 7 8; do
		head -c 3000000 /dev/urandom >"$MNT/gone/$i"
		cp -r include "$MNT/kept$i"
	done
	sync "$MNT"/gone/*
	full=$(blocks_of)
	rm -r "$MNT/gone"
}

gives_space_back()
{
	local full
	make_image "$IMG" mke2fs -t "$2" -b "$3" 64M
	mount_it "$IMG" "$MNT" "$1"
	fill_and_remove
	trimmed=$(trim_it)
	echo "$full KiB before, $(blocks_of) after, $trimmed bytes said"
	[ "$(blocks_of)" -lt $((full - 20000)) ]
	[ "$trimmed" -gt 20000000 ]
	for i in 1 2 3 4 5 6 7 8; do
		diff -r include "$MNT/kept$i"
	done
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	for i in 1 2 3 4 5 6 7 8; do
		diff -r include "$MNT/kept$i"
	done
	must_fail fstrim "$MNT"
	unmount "$MNT" "$IMG"
}

# -o, -l and -m: a part of the file system, and runs that are worth it.
takes_a_range()
{
	make_image "$IMG" mke2fs -t ext2 -b 1024 64M
	mount_it "$IMG" "$MNT"
	whole=$(trim_it)
	half=$(trim_it -o 32M)
	[ "$half" -lt "$whole" ] && [ "$half" -gt 0 ]
	[ "$(trim_it -l 32M)" -le $((whole - half)) ]
	[ "$(trim_it -m 4M)" -le "$whole" ]
	[ "$(trim_it -l 8M -m 8M)" = 0 ]
	must_fail fstrim -m 1G "$MNT"
	must_fail fstrim -o 64M "$MNT"
	must_fail fstrim -l 100 "$MNT"
	[ "$(trim_it -o 63M -l 100G)" -le 1048576 ]
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# While files come and go; then the kernel reads them.
disturbs_nobody()
{
	local pid
	make_image "$IMG" mke2fs -t "$1" -b 1024 96M
	mount_it "$IMG" "$MNT"
	(
		for i in $(seq 1 6); do
			cp -r src "$MNT/src$i"
			[ "$i" = 1 ] || rm -r "$MNT/src$((i - 1))"
		done
		rm -f "$WORK/busy"
	) &
	pid=$!
	: >"$WORK/busy"
	while [ -e "$WORK/busy" ]; do
		fstrim "$MNT"
	done
	wait $pid
	diff -r src "$MNT/src6"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount -o ro,loop "$IMG" "$MNT"
	diff -r src "$MNT/src6"
	umount "$MNT"
}

# It is for root and for who mounted; other ioctls are none of ours.
asks_who_may()
{
	make_image "$IMG" mke2fs -t ext3 32M
	chmod 755 "$WORK"
	mount_it "$IMG" "$MNT" allow_other
	must_fail setpriv --reuid 65534 --regid 65534 --clear-groups fstrim "$MNT" 2>"$WORK/said"
	grep -q "not permitted" "$WORK/said"
	lsattr "$MNT" 2>&1 | grep -q "Operation not supported"
	unmount "$MNT" "$IMG"
}

for options in driver=file driver=uring driver=mmap,dax driver=sim,profile=nvme; do
	try "$options: fstrim gives free space back" gives_space_back "$options" ext3 4096
done
try "so it does in small blocks, without a journal" gives_space_back driver=file ext2 1024
try "of a part, where that was asked for" takes_a_range
for type in ext2 ext3; do
	try "$type: beside writers and removers" disturbs_nobody $type
done
try "not everybody may" asks_who_may
finish
