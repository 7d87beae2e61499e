#!/usr/bin/env bash
# Every kind of image that mke2fs makes within what extant supports - block size, inode size, 1 MiB to
# 1 TiB, with and without journal and resize_inode, and revision 0 - is mounted, written and left
# clean; and what was written is there after a second mount and, as root, for the kernel.
. "$(dirname "$0")/lib.sh"
need_fuse

# write_some DIR: a little of everything, as much as 1 MiB can take
write_some()
{
	mkdir "$1/dir"
	seq 1 20000 | head -c 60000 >"$1/dir/file"
	cp "$1/dir/file" "$1/dir/other"
	rm "$1/dir/other"
	ln "$1/dir/file" "$1/hard"
	ln -s dir/file "$1/soft"
	ln -s "$(printf '%0200d' 7)" "$1/slow"
	mkfifo "$1/fifo"
	truncate -s 1M "$1/sparse"
	printf end | dd of="$1/sparse" bs=1 seek=700000 conv=notrunc status=none
	mv "$1/dir" "$1/moved"
}

check_some()
{
	seq 1 20000 | head -c 60000 | cmp - "$1/moved/file"
	[ "$1/hard" -ef "$1/moved/file" ]
	[ "$(readlink "$1/soft")" = dir/file ]
	[ "$(readlink "$1/slow")" = "$(printf '%0200d' 7)" ]
	[ -p "$1/fifo" ]
	[ "$(tail -c 348573 "$1/sparse" | head -c 3 | tr -d '\0')" = "" ]
	[ "$(stat -c %s "$1/sparse")" = 1048576 ]
	[ "$(dd if="$1/sparse" bs=1 skip=700000 count=3 status=none)" = end ]
	[ ! -e "$1/moved/other" ]
}

# works_on MAKER ARGS... SIZE
works_on()
{
	local made
	make_image "$IMG" "$@"
	made=$(du -k "$IMG" | cut -f1)
	mount_it "$IMG" "$MNT"
	write_some "$MNT"
	check_some "$MNT"
	unmount "$MNT" "$IMG"
	fsck_clean "$IMG"
	mount_it "$IMG" "$MNT" ro
	check_some "$MNT"
	unmount "$MNT" "$IMG"
	if is_root; then
		mount_as kernel "$IMG" "$MNT" ro
		check_some "$MNT"
		unmount "$MNT" "$IMG"
	fi
	# Still sparse: a few blocks more than the maker wrote.
	[ "$(du -k "$IMG" | cut -f1)" -lt $((made + 102400)) ]
}

sizes="1M 8M 64M 1G 64G 1T"
[ -z "$QUICK" ] || sizes="1M 64M 64G"
nr=0
for maker in mke2fs mkfs.extant; do
	[ "$DRIVER" = extant ] || [ $maker = mke2fs ] || continue
	for type in ext2 ext3; do
		for block in 1024 2048 4096; do
			for inode in 128 256; do
				for size in $sizes; do
					# A journal needs 1024 blocks.
					[ $type = ext3 ] && case $size-$block in 1M-* | 2M-*) continue ;; esac
					# The largest are tried once or twice a maker, with few inodes: e2fsck reads all of them.
					case $size-$block-$inode-$type in
					1T-1024-256-ext3 | 1T-4096-256-* | 64G-*-256-*) ;;
					1T-* | 64G-*) continue ;;
					esac
					features=resize_inode
					[ $((nr % 2)) -eq 0 ] || features=^resize_inode
					nr=$((nr + 1))
					case $size in 1T) few="-i 4194304" ;; *) few= ;; esac
					# shellcheck disable=SC2086 # options are words
					try "$maker -t $type -b $block -I $inode -O $features, $size" \
						works_on $maker -t $type -b $block -I $inode $few -O $features "$size"
				done
			done
		done
	done
done
for block in 1024 4096; do
	try "revision 0, blocks of $block" works_on mke2fs -r 0 -O none -b $block -I 128 64M
	try "no features at all, blocks of $block" works_on mke2fs -O none -b $block -I 128 64M
	try "without sparse_super, blocks of $block" \
		works_on mke2fs -t ext3 -O ^sparse_super,^resize_inode -b $block 256M
	try "with meta_bg, blocks of $block" works_on mke2fs -t ext3 -O meta_bg,^resize_inode -b $block 256M
	try "without filetype, blocks of $block" works_on mke2fs -t ext2 -O ^filetype,^dir_index -b $block 64M
done
finish
