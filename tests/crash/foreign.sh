#!/usr/bin/env bash
# Journals that others wrote: what the kernel leaves in the middle of its work, in each of its modes
# and with its checksums, and what debugfs writes. Recovered by a mount with extant an image has
# the same tree as recovered by e2fsck, and e2fsck then finds it clean.
. "$(dirname "$0")/../mount/lib.sh"
need_fuse

tree()
{
	(cd "$1" && find . -printf '%p %y %s %m %n %T@ %l\n' | sort && find . -type f -exec md5sum {} + | sort -k 2)
}

# recovered_alike IMAGE: by extant and by e2fsck, from copies
recovered_alike()
{
	cp --sparse=always "$1" "$WORK/ours.img"
	cp --sparse=always "$1" "$WORK/theirs.img"
	mount_as extant "$WORK/ours.img" "$MNT"
	tree "$MNT" >"$WORK/tree.ours"
	unmount "$MNT" "$WORK/ours.img"
	fsck_clean "$WORK/ours.img"
	e2fsck -fy "$WORK/theirs.img" || [ $? = 1 ]
	mount_as extant "$WORK/theirs.img" "$MNT" ro
	tree "$MNT" >"$WORK/tree.theirs"
	unmount "$MNT" "$WORK/theirs.img"
	diff "$WORK/tree.ours" "$WORK/tree.theirs" | head -20
	cmp "$WORK/tree.ours" "$WORK/tree.theirs"
}

# ---- the kernel ----

# kernel_leaves TYPE OPTIONS: $IMG is a copy of what it had on the disk in the middle of its work
kernel_leaves()
{
	local i
	is_root || { echo "needs root"; exit 77; }
	make_image "$WORK/busy.img" mke2fs -t ext3 -J size=4 64M
	mount -t "$1" -o "loop${2:+,$2}" "$WORK/busy.img" "$MNT"
	for i in $(seq 60); do
		mkdir "$MNT/d$i"
		seq "$i" $((i * 211)) >"$MNT/d$i/a"
		ln -s "/a/target/that/is/too/long/to/lie/in/the/inode/itself/and/takes/a/block/$i" "$MNT/d$i/l"
		[ $((i % 7)) != 0 ] || sync "$MNT/d$i/a"
		[ $((i % 3)) != 0 ] || rm -rf "$MNT/d$((i - 1))"
		[ $((i % 4)) != 0 ] || truncate -s $((i * 13)) "$MNT/d$i/a"
		[ $((i % 5)) != 0 ] || mv "$MNT/d$i" "$MNT/e$i"
	done
	sync "$MNT/d58/a"
	rm -r "$MNT/d57"
	cp --sparse=always "$WORK/busy.img" "$IMG"
	umount "$MNT"
	dumpe2fs -h "$IMG" 2>/dev/null | grep needs_recovery
}

kernel_journal()
{
	kernel_leaves "$1" "$2"
	recovered_alike "$IMG"
	# All of the sync was there: the last directory with its file.
	grep -q '^\./d58/a f' "$WORK/tree.ours"
}

# What a process does to files of its own until it is stopped.
busy_worker()
{
	local n=0 dir=$MNT/w$1
	mkdir "$dir"
	while :; do
		n=$((n + 1))
		seq "$n" $((n * 37 % 9000)) >"$dir/new"
		[ $((n % 5)) != 0 ] || sync "$dir/new"
		mv "$dir/new" "$dir/f$((n % 50))"
		seq "$n" >>"$dir/log"
		printf 'overwritten %d' "$n" | dd of="$dir/log" bs=1 seek=$((n * 13 % 4000)) conv=notrunc status=none
		[ $((n % 9)) != 0 ] || truncate -s $((n * 7)) "$dir/log"
		[ $((n % 4)) != 0 ] || rm -f "$dir/f$((n * 3 % 50))"
	done 2>/dev/null
}

# The same of four processes at work. They are halted while the copy is made, so that it is of one moment.
kernel_busy()
{
	local i workers=()
	is_root || { echo "needs root"; exit 77; }
	make_image "$WORK/busy.img" mke2fs -t ext3 -J size=4 64M
	mount -t "$1" -o "loop${2:+,$2}" "$WORK/busy.img" "$MNT"
	export -f busy_worker
	export MNT
	for i in 1 2 3 4; do
		setsid bash -c "busy_worker $i" &
		workers+=($!)
	done
	sleep 2.3
	for i in "${workers[@]}"; do kill -STOP -- "-$i"; done
	cp --sparse=always "$WORK/busy.img" "$IMG"
	for i in "${workers[@]}"; do kill -KILL -- "-$i"; done
	wait "${workers[@]}" || true
	umount "$MNT"
	dumpe2fs -h "$IMG" 2>/dev/null | grep needs_recovery
	recovered_alike "$IMG"
	grep -q '^\./w3/log f' "$WORK/tree.ours"
}

for options in ext3: ext3:data=journal ext4:journal_checksum ext4:journal_checksum,data=journal \
	ext4:journal_async_commit,data=writeback; do
	try "the kernel's journal under load, ${options#*:}" kernel_busy "${options%%:*}" "${options#*:}"
done
try "the kernel's ext3 journal, data=ordered" kernel_journal ext3 ""
try "the kernel's ext3 journal, data=journal" kernel_journal ext3 data=journal
try "the kernel's ext3 journal, data=writeback" kernel_journal ext3 data=writeback
try "the kernel's journal with checksums" kernel_journal ext4 journal_checksum
try "the kernel's journal with checksums and data=journal" kernel_journal ext4 journal_checksum,data=journal
try "the kernel's journal with asynchronous commits" kernel_journal ext4 journal_async_commit,data=writeback

# ---- debugfs ----

# A block of a file is written through the journal by debugfs, and perhaps revoked.
debugfs_journal()
{
	local block commands=$1
	make_image "$IMG" mke2fs -t ext3 -b 1024 16M
	head -c 20000 /dev/zero | tr '\0' 'o' >"$WORK/old"
	head -c 1024 /dev/zero | tr '\0' 'n' >"$WORK/new"
	debugfs -w -R "write $WORK/old file" "$IMG"
	block=$(debugfs -R "bmap file 3" "$IMG" 2>/dev/null)
	printf '%s\n' "${commands//BLOCK/$block}" | sed "s|NEW|$WORK/new|" | debugfs -w -f - "$IMG"
	dumpe2fs -h "$IMG" 2>/dev/null | grep needs_recovery
	recovered_alike "$IMG"
	mount_as extant "$WORK/ours.img" "$MNT" ro
	head -c 4096 "$MNT/file" | tail -c 1024 >"$WORK/got"
	unmount "$MNT" "$WORK/ours.img"
	if [ "$2" = new ]; then
		cmp "$WORK/got" "$WORK/new"
	else
		head -c 1024 "$WORK/old" | cmp "$WORK/got" -
	fi
}

try "a block that debugfs put into the journal" debugfs_journal $'jo\njw -b BLOCK NEW\njc' new
try "a block that debugfs put into the journal and revoked" debugfs_journal $'jo\njw -b BLOCK NEW\njw -r BLOCK\njc' old
try "a block that debugfs revoked and then put there again" debugfs_journal \
	$'jo\njw -b BLOCK NEW\njw -r BLOCK\njw -b BLOCK NEW\njc' new

# ---- ours, read by others ----

# What debugfs makes of a log that we left.
logdump_reads_ours()
{
	local pid
	make_image "$WORK/busy.img" mkfs.extant -t ext3 -J size=4 64M
	mount_as extant "$WORK/busy.img" "$MNT"
	for i in $(seq 40); do
		mkdir "$MNT/d$i"
		echo "$i" >"$MNT/d$i/a"
		sync "$MNT/d$i/a"
		[ $((i % 3)) != 0 ] || rm -rf "$MNT/d$((i - 1))"
	done
	sync "$MNT/d40"
	pid=$(daemons_of "$WORK/busy.img")
	kill -9 "$pid"
	umount -l "$MNT" || fusermount3 -uz "$MNT"
	wait_gone "$WORK/busy.img"
	debugfs -R "logdump -a" "$WORK/busy.img" >"$WORK/dump" 2>&1
	cat "$WORK/dump" | tail -5
	grep -c 'commit block' "$WORK/dump"
	[ "$(grep -c 'commit block' "$WORK/dump")" -ge 20 ]
	must_fail grep -qiE 'corrupt|unexpected|unrecogni|invalid|bad|error' "$WORK/dump"
	recovered_alike "$WORK/busy.img"
}

try "debugfs reads our log without a complaint" logdump_reads_ours
finish
