#!/usr/bin/env bash
# Many at once: four processes change one tree in every way (tests/tools/stress.c), four files are
# checked operation by operation (tests/tools/fsx.c) while they do, readers walk the tree meanwhile.
# Nothing goes wrong, nobody waits for ever, and e2fsck finds nothing.
. "$(dirname "$0")/lib.sh"
need_fuse

seed=${SEED:-$RANDOM}
operations=20000
[ -z "$QUICK" ] || operations=3000
echo "seed $seed"

# together COMMAND...: all at once; the worst status
together()
{
	local pids=() status=0 command
	for command in "$@"; do
		timeout 900 bash -c "$command" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || status=$?
	done
	return "$status"
}

# changed_by_many MKE2FS-ARGS...
changed_by_many()
{
	local commands=() i
	make_image "$IMG" mke2fs "$@" 256M
	mount_it "$IMG" "$MNT"
	mkdir "$MNT/stress"
	commands+=("stress -p 4 -n $operations -s $seed '$MNT/stress'")
	for i in 1 2 3 4; do
		commands+=("fsx -s $((seed + i)) -n $((operations / 4)) '$MNT/fsx-$i'")
	done
	together "${commands[@]}"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

direct_access_too()
{
	make_image "$IMG" mke2fs -t ext3 -b "$1" 64M
	mount_it "$IMG" "$MNT"
	fsx -s "$seed" -n "$operations" -d "$MNT/fsx"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# Whoever lists and reads sees whole directories and no error but that a name has gone.
walked_meanwhile()
{
	make_image "$IMG" mke2fs -t ext3 -b 1024 256M
	mount_it "$IMG" "$MNT"
	mkdir "$MNT/stress"
	together "stress -p 3 -n $operations -s $seed '$MNT/stress'" \
		"for i in \$(seq 20); do
			find '$MNT' -ls 2>&1 >/dev/null | grep -v 'No such file' && exit 1
			sync
		done; exit 0"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# Two files that grow at once do not lie in each other's gaps.
grows_in_one_piece()
{
	local file fragments
	make_image "$IMG" mke2fs -t ext3 -b 4096 512M
	mount_it "$IMG" "$MNT"
	together "dd if=/dev/zero of='$MNT/a' bs=64k count=1000 status=none" \
		"dd if=/dev/zero of='$MNT/b' bs=64k count=1000 status=none" \
		"dd if=/dev/zero of='$MNT/c' bs=64k count=1000 status=none"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	for file in a b c; do
		# debugfs lists a file's blocks as ranges; the indirect blocks stand between them.
		fragments=$(debugfs -R "stat /$file" "$IMG" 2>/dev/null | tr ',' '\n' |
			grep -c '([0-9]*-[0-9]*):' || true)
		echo "$file: $fragments ranges of blocks"
		[ "$fragments" -le 60 ]
	done
}

try "four processes and four checked files, 1 KiB blocks" changed_by_many -t ext3 -b 1024
try "four processes and four checked files, 4 KiB blocks" changed_by_many -t ext2 -b 4096
try "direct, mapped and buffered access of one file agree, 1 KiB blocks" direct_access_too 1024
try "direct, mapped and buffered access of one file agree, 4 KiB blocks" direct_access_too 4096
try "a tree can be walked while it changes" walked_meanwhile
try "files that grow at once stay contiguous" grows_in_one_piece
finish
