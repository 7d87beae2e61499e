#!/usr/bin/env bash
# A tree of 20,000 of everything (tests/tools/mktree.c), written by one driver, is read back the same
# by the other: extant writes and Linux reads, Linux writes and extant reads; with cp and rsync;
# 1, 2 and 4 KiB blocks, large and small inodes. Each image is clean to e2fsck afterwards.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root "the kernel's driver is the judge"

seed=${SEED:-$RANDOM}
count=20000
[ -z "$QUICK" ] || count=2000
echo "seed $seed"

# make_tree BLOCK-SIZE COUNT [OPTIONS]: as $tree
make_tree()
{
	tree=$WORK/tree
	rm -rf "$tree"
	mkdir "$tree"
	# shellcheck disable=SC2086 # options are words
	mktree -s "$seed" -n "$2" -b "$1" ${3:-} "$tree" || exit 1
}

# into the mount, sparse where the tree is
copy_in()
{
	case $1 in
	cp) cp -a "$tree" "$MNT/copy" ;;
	rsync) rsync -aHS --numeric-ids "$tree/" "$MNT/copy/" ;;
	esac
}

# written_and_read WRITER READER HOW COMPARE-OPTIONS MKE2FS-ARGS...
written_and_read()
{
	local writer=$1 reader=$2 how=$3 options=$4
	shift 4
	echo "seed $seed: $writer writes by $how, $reader reads; mke2fs $*"
	make_image "$IMG" mke2fs "$@" 1G
	mount_as "$writer" "$IMG" "$MNT"
	copy_in "$how"
	# shellcheck disable=SC2086 # options are words
	treecmp $options "$tree" "$MNT/copy"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount_as "$reader" "$IMG" "$MNT" ro
	# shellcheck disable=SC2086
	treecmp $options "$tree" "$MNT/copy"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
}

# Both drivers say the same of one image, down to inode numbers, blocks and holes.
seen_alike()
{
	mkdir -p "$WORK/mnt2"
	cp --sparse=always "$IMG" "$WORK/twin.img"
	mount_as "$DRIVER" "$IMG" "$MNT" ro
	mount_as kernel "$WORK/twin.img" "$WORK/mnt2" ro
	treecmp -s -i "$MNT" "$WORK/mnt2"
	umount "$WORK/mnt2"
	unmount "$MNT" "$IMG"
	rm "$WORK/twin.img"
}

for size in 1024 4096; do
	make_tree $size "$count" -w
	try "cp -a in, the kernel reads it, blocks of $size" \
		written_and_read "$DRIVER" kernel cp -s -t ext3 -b $size -N 30000
	try "both drivers see what $DRIVER wrote alike, blocks of $size" seen_alike
	try "the kernel writes, $DRIVER reads, blocks of $size" \
		written_and_read kernel "$DRIVER" cp -s -t ext3 -b $size -N 30000
	try "both drivers see what the kernel wrote alike, blocks of $size" seen_alike
	try "rsync -aH in, the kernel reads it, blocks of $size" \
		written_and_read "$DRIVER" kernel rsync "" -t ext2 -b $size -N 30000
done
make_tree 2048 $((count / 4)) -w
try "rsync -aH in, the kernel reads it, blocks of 2048" \
	written_and_read "$DRIVER" kernel rsync "" -t ext3 -b 2048
make_tree 1024 $((count / 4))
try "inodes of 128 bytes keep whole seconds" \
	written_and_read "$DRIVER" kernel cp "-s -t" -t ext3 -b 1024 -I 128
finish
