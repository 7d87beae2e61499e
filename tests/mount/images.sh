#!/usr/bin/env bash
# Each image of images/ is mounted and worked in, shows what it is there for, and is clean afterwards;
# as root the kernel is asked to agree.
. "$(dirname "$0")/lib.sh"
need_fuse

free_blocks() { dumpe2fs -h "$1" 2>/dev/null | sed -n 's/^Free blocks: *//p'; }

begin()
{
	"images/$1.sh" "$IMG"
	mount_it "$IMG" "$MNT"
}

end()
{
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

name() { echo "a-name-that-takes-some-room-in-its-block-$1"; }

# Names go and come in a directory with a hash tree; whoever looks finds exactly what is there.
htree()
{
	local i
	"images/htree.sh" "$IMG"
	# The recipe must hold what it promises: an index (flag 0x1000) on the large directory.
	debugfs -R 'stat /htree' "$IMG" 2>/dev/null | grep -q 'Flags: 0x1000'
	mount_it "$IMG" "$MNT"
	[ "$(find "$MNT/htree" -mindepth 1 | wc -l)" = 4000 ]
	for i in $(seq 1 50 4000); do
		[ -e "$MNT/htree/$(name "$i")" ]
	done
	[ ! -e "$MNT/htree/$(name 4001)" ]
	for i in $(seq 1 3 4000); do
		rm "$MNT/htree/$(name "$i")"
	done
	for i in $(seq 5000 5800); do
		echo "$i" >"$MNT/htree/$(name "$i")"
	done
	mv "$MNT/htree/$(name 2)" "$MNT/htree/renamed"
	for i in $(seq 1 400); do
		: >"$MNT/small/$(name "$i")"
	done
	find "$MNT" | sort >"$WORK/names"
	end
	mount_it "$IMG" "$MNT" ro
	find "$MNT" | sort | cmp - "$WORK/names"
	unmount "$MNT" "$IMG"
	is_root || return 0
	# The kernel looks names up through the index, if there is one, and must find each.
	mount_as kernel "$IMG" "$MNT"
	find "$MNT" | sort | cmp - "$WORK/names"
	while IFS= read -r file; do
		[ -e "$file" ] || { echo "the kernel does not find $file"; return 1; }
	done <"$WORK/names"
	touch "$MNT/htree/by-the-kernel"
	rm "$MNT/htree/renamed"
	end
	mount_it "$IMG" "$MNT"
	[ -e "$MNT/htree/by-the-kernel" ]
	[ ! -e "$MNT/htree/renamed" ]
	rm -r "$MNT/htree"
	end
}

# Their space is back as soon as the mount serves, and the rest of the truncated file is as it should be.
orphans()
{
	begin orphans
	[ "$(stat -c %s "$MNT/cut")" = 1500 ]
	[ "$(stat -c %b "$MNT/cut")" = 4 ]
	[ ! -e "$MNT/gone" ]
	end
	[ "$(dumpe2fs -h "$IMG" 2>/dev/null | grep -c 'First orphan inode')" = 0 ]
	debugfs -R 'testi <12>' "$IMG" 2>/dev/null | grep -q 'not in use'
}

# The list that a read-only mount must leave alone.
orphans_read_only()
{
	"images/orphans.sh" "$IMG"
	cp "$IMG" "$WORK/before"
	mount_it "$IMG" "$MNT" ro
	ls -l "$MNT"
	unmount "$MNT" "$IMG"
	cmp "$IMG" "$WORK/before"
}

# A file that was unlinked and open when the daemon died is freed by the next mount.
orphan_of_our_own()
{
	local before pid
	make_image "$IMG" mke2fs -t ext3 -b 1024 32M
	mount_it "$IMG" "$MNT"
	: >"$MNT/kept"
	unmount "$MNT" "$IMG"
	before=$(free_blocks "$IMG")
	mount_it "$IMG" "$MNT"
	exec 8>"$MNT/open"
	head -c 5000000 /dev/urandom >&8
	rm "$MNT/open"
	sync "$MNT/kept" "$MNT"
	pid=$(daemons_of "$IMG")
	kill -9 "$pid"
	exec 8>&-
	umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT"
	wait_gone "$IMG"
	[ "$(free_blocks "$IMG")" -lt "$before" ] || dumpe2fs -h "$IMG" 2>/dev/null | grep -q needs_recovery
	mount_it "$IMG" "$MNT"
	end
	[ "$(free_blocks "$IMG")" = "$before" ]
}

revision0()
{
	begin revision0
	seq 1 3000 | cmp - "$MNT/link"
	mkdir "$MNT/dir/new"
	mv "$MNT/dir/sub" "$MNT/dir/new/"
	seq 1 100 >"$MNT/dir/new/file"
	ls -lR "$MNT"
	# The kernel, too, writes no feature into such a file system.
	end
	dumpe2fs -h "$IMG" 2>/dev/null | grep -q 'Filesystem revision #: *0'
	must_fail grep -q filetype <(dumpe2fs -h "$IMG" 2>/dev/null)
}

holes()
{
	local block
	begin holes
	for block in 0 11 12 267 268 523 524 65803 65804 66059 66060; do
		[ "$(dd if="$MNT/borders" bs=1024 skip="$block" count=1 status=none | head -c 12)" = \
			"$(printf "block %6d" "$block")" ]
	done
	[ "$(stat -c %b "$MNT/empty")" = 0 ]
	cmp -n 209715200 "$MNT/empty" /dev/zero
	[ "$(tail -c 3 "$MNT/end")" = end ]
	# What is cut off at each border and grown again is zeros; the tree gives its blocks back.
	for block in 66060 65804 65803 524 268 267 12 11; do
		truncate -s $((block * 1024 + 5)) "$MNT/borders"
		truncate -s 100M "$MNT/borders"
		[ "$(dd if="$MNT/borders" bs=1024 skip="$block" count=1 status=none | head -c 12 | tr '\0' .)" = \
			"block......." ]
	done
	[ "$(stat -c %b "$MNT/borders")" -le 8 ]
	end
}

reserved()
{
	local status=0
	begin reserved
	chmod 777 "$MNT"
	chmod 711 "$WORK"
	# Whoever is not root gets what is not reserved, and is told.
	runuser -u nobody -- dd if=/dev/zero of="$MNT/user" bs=64k count=40 conv=fsync 2>"$WORK/out" || status=$?
	cat "$WORK/out"
	[ "$status" -ne 0 ]
	grep -q 'No space left' "$WORK/out"
	dd if=/dev/zero of="$MNT/root" bs=64k count=10 conv=fsync status=none
	end
}

try "a directory with a hash tree stays right" htree
try "orphans are freed when the mount begins" orphans
try "orphans stay where they are for a read-only mount" orphans_read_only
try "a file that was unlinked and open in a crash is freed" orphan_of_our_own
try "a file system of revision 0 stays one" revision0
try "holes and borders of the indirect tree" holes
if is_root; then
	try "reserved blocks are root's" reserved
fi
finish
