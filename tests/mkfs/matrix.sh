#!/usr/bin/env bash
# What must hold: for every block size, inode size, size, type and with or without resize_inode,
# mkfs.extant's image is byte for byte the one that mke2fs makes of the same options, UUID, hash seed
# and time; dumpe2fs says the same of both; e2fsck -fn finds nothing; and the kernel mounts it,
# writes to it, and leaves it clean.
#
#	FULL=1	also the combinations that take minutes: e2fsck of a terabyte, 1 KiB blocks on it
#	QUICK=1	only the first of them, for `make check`
#	BUILD	the build that is tested (default build); BIN its programs (default BUILD/bin)
#	CI	true: what cannot be tried for want of a tool or a right counts as failed
set -u

cd "$(dirname "$0")/../.." || exit 1
. tests/mkfs/lib.sh

UUID=11111111-2222-3333-4444-555555555555
SEED=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
NOW=1700000000

OURS=$WORK/ours.img
THEIRS=$WORK/theirs.img

# make_both SIZE OPTION...: with the words of $extended in the one -E that mke2fs heeds.
extended=
make_both()
{
	local size=$1 words=hash_seed=$SEED${extended:+,$extended}
	shift
	rm -f "$OURS" "$THEIRS"
	SOURCE_DATE_EPOCH=$NOW mkfs.extant -q "$@" -U $UUID -E "$words" "$OURS" "$size" &&
		E2FSPROGS_FAKE_TIME=$NOW mke2fs -q -F "$@" -U $UUID -E "$words" "$THEIRS" "$size"
}

same_bytes() { sparsecmp "$OURS" "$THEIRS"; }

same_dump()
{
	diff <(dumpe2fs "$1" "$OURS" 2>/dev/null) <(dumpe2fs "$1" "$THEIRS" 2>/dev/null)
}

# The kernel writes a file into it; afterwards e2fsck must still be content.
kernel_takes_it()
{
	mount -o loop "$OURS" "$MNT" || return 1
	[ -d "$MNT/lost+found" ] && echo hello > "$MNT/file" && [ "$(cat "$MNT/file")" = hello ]
	local status=$?
	umount "$MNT" || return 1
	return "$status"
}

is_clean() { e2fsck -fn "$OURS"; }

# check SIZE HOW OPTION...: HOW is "dump", "all" for e2fsck too, or "image" for no mount.
check()
{
	local size=$1 how=$2 what dump=
	shift 2
	what="$size $*${extended:+ -E $extended}"
	make_both "$size" "$@" > "$WORK/log" 2>&1 || { fail "$what: is not made" "$WORK/log"; return; }
	# A listing of thousands of groups says no more than their bytes do.
	case $size in *T) dump=-h ;; *) dump=-f ;; esac
	expect "$what: the same bytes" same_bytes
	expect "$what: the same to dumpe2fs" same_dump $dump
	[ "$how" != dump ] && expect "$what: e2fsck -fn" is_clean
	[ "$how" = image ] && return
	can_mount "$what: mounted by the kernel" || return
	expect "$what: mounted by the kernel" kernel_takes_it
	[ "$how" = all ] && expect "$what: e2fsck -fn after it" is_clean
}

need mke2fs e2fsck dumpe2fs sparsecmp

# Too small for a journal; one group; many groups; the smallest of the usage type "default"; and so on.
sizes="1M 9M 100M 600M"
[ -z "${QUICK:-}" ] || sizes="9M 100M"
for size in $sizes; do
	for block in 1024 2048 4096; do
		for inode in 128 256; do
			for type in ext2 ext3; do
				check "$size" all -t $type -b $block -I $inode
				check "$size" all -t $type -b $block -I $inode -O ^resize_inode
			done
		done
	done
done

[ -z "${QUICK:-}" ] || finish

# Sizes at which defaults change, without -b: usage type, journal size, a last group that is dropped.
for size in 104K 128K 2047K 2048K 3071K 3072K 8200K 8400K 9000K 131200K 132000K 511M 512M 1G 2G 4G; do
	check $size all -t ext3
done

for block in 1024 2048 4096; do
	check 8G dump -t ext3 -b $block -I 128
	check 8G dump -t ext2 -b $block -O ^resize_inode
done
check 64G dump -t ext3
check 64G dump -t ext2 -O ^resize_inode
check 1T dump -t ext3
check 1T dump -t ext2 -O ^resize_inode
# Few inodes, so that e2fsck has little to read.
check 1T all -t ext3 -T largefile4 -I 128

# What moves tables and files about.
check 100M all -t ext3 -O meta_bg,^resize_inode
check 5G all -t ext2 -O meta_bg,^resize_inode
check 100M all -t ext2 -O ^sparse_super,^resize_inode
check 100M all -t ext3 -O none,filetype
check 100M all -t ext3 -r 0
check 100M all -t ext3 -g 2048 -N 100000
check 100M all -t ext3 -g 256 -N 16
check 100M all -t ext3 -N 1
check 600M all -t ext3 -b 4096 -i 1024
check 600M all -t ext3 -J size=100 -I 1024
check 4G all -t ext3 -b 1024 -J size=1024
check 100M all -t ext3 -m 17.3 -L label -M /mnt/x -e remount-ro -o freebsd
for extended in stride=16,stripe_width=64 stride=4099 resize=4G resize=400000 root_owner=70000:100000; do
	check 300M all -t ext3 -b 1024
done
# libblkid takes a test_fs for two file systems at once, so mount(8) would ask which.
extended=test_fs
check 300M image -t ext3
extended=

if [ "${FULL:-}" = 1 ]; then
	for size in 4G 64G 1T; do
		for block in 1024 2048 4096; do
			for inode in 128 256; do
				for type in ext2 ext3; do
					check "$size" all -t $type -b $block -I $inode
					check "$size" all -t $type -b $block -I $inode -O ^resize_inode
				done
			done
		done
	done
	check 15T dump -t ext3
fi

finish
